"""The sharpness that the rule in use can settle at, from theory: to stand beside the sharpness that is measured.

Source: Cohen et al. 2021 and Long & Bartlett 2024 (arXiv 2309.12488): see featlearn/theory/edges.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from featlearn.theory import EDGES

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import View


@dataclass(frozen=True, kw_only=True)
class StabilityEdge:
    """The edge of gradient descent, stability_edge = 2 / lr, for SGD and for what SAM and USAM wrap.

    Stated without momentum and weight decay; with them a config is refused.
    """

    edges: ClassVar[frozenset[str]] = frozenset({"sgd", "sam", "usam"})

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the column, [b]. ValueError for a rule that has no edge."""
        _edge_of(view.rule, self)
        return {"stability_edge": _evaluated("sgd", view, view.grad_norm)}


@dataclass(frozen=True, kw_only=True)
class SamEdge:
    """The edge of SAM at the current gradient norm, or of USAM: sam_edge; 2 / lr where the radius is 0 at this step.

    Other rules have none, nor is one given with momentum or weight decay: there a config is refused. SAM with rho = 0
    is SGD, for a sweep over both.

    batch: whose gradient norm: that of the full training set, or of the mini-batch about to be used.
    """

    edges: ClassVar[frozenset[str]] = frozenset({"sam", "usam"})

    batch: Literal["full", "batch"] = "full"

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the column, [b]. ValueError for a rule that has no such edge."""
        edge = _edge_of(view.rule, self)
        loss = view.loss(self.batch)
        return {"sam_edge": _evaluated(edge, view, loss.norm(loss.gradient(view.w)))}


def _edge_of(rule: Any, tracker: StabilityEdge | SamEdge) -> str:
    edge: str | None = getattr(rule, "edge", None)
    if edge is None or edge not in tracker.edges:
        raise ValueError(f"{type(tracker).__name__} knows no edge of {type(rule).__name__} as configured")
    return edge


def _evaluated(edge: str, view: View, grad_norm: Tensor) -> Tensor:
    """Return the edge [b] at the rule's numbers at this step; infinite where a schedule has brought lr to 0."""
    import torch

    lr, rho, g = (number.double().cpu().numpy() for number in (view.rate, view.radius, grad_norm))
    still = lr == 0
    found = np.where(still, np.inf, EDGES[edge](np.where(still, 1.0, lr), rho, g))
    return torch.as_tensor(found).to(grad_norm)
