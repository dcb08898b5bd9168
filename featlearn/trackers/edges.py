"""The sharpness at which theory expects the rule to settle, for comparison with the measured sharpness.

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
    """The edge of gradient descent, stability_edge = 2 / lr, for SGD and for the base of SAM and USAM.

    It holds without momentum and weight decay; a config with either is refused.
    """

    edges: ClassVar[frozenset[str]] = frozenset({"sgd", "sam", "usam"})

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the column, [b]. ValueError for a rule that has no edge."""
        _edge_of(view.rule, self)
        return {"stability_edge": _evaluated("sgd", view, view.grad_norm)}


@dataclass(frozen=True, kw_only=True)
class SamEdge:
    """The edge of SAM at the current gradient norm, or of USAM: sam_edge; 2 / lr where the radius is 0 at this step.

    Other rules have none, nor is it known with momentum or weight decay: such a config is refused. SGD is SAM with
    rho = 0, so that a sweep may contain both.

    batch: gradient norm of the full training set, or of the next mini-batch.
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
        raise ValueError(f"{type(tracker).__name__} has no edge for {type(rule).__name__} as configured")
    return edge


def _evaluated(edge: str, view: View, grad_norm: Tensor) -> Tensor:
    """Return the edge [b] for the rule's numbers at this step; infinite where a schedule has reduced lr to 0."""
    import torch

    lr, rho, g = (number.double().cpu().numpy() for number in (view.rate, view.radius, grad_norm))
    still = lr == 0
    found = np.where(still, np.inf, EDGES[edge](np.where(still, 1.0, lr), rho, g))
    return torch.as_tensor(found).to(grad_norm)
