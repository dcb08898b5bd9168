"""The position in parameter space: for landscapes of few parameters, such as a valley along which a rule drifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featlearn.types import Size

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import View


@dataclass(frozen=True, kw_only=True)
class Position:
    """The first coordinates of the parameters, and their distance from the initial point.

    x0, x1, ...: coordinates, in the order of the model's tensors. distance: Euclidean.

    n_coordinates: how many coordinates.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})

    n_coordinates: Size = 1

    @property
    def one_per_parameter(self) -> tuple[int, str]:
        """The number of columns, which must not exceed that of the parameters, and their name in messages."""
        return self.n_coordinates, "coordinates"

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        import torch

        flat = torch.cat([leaf.flatten(1) for leaf in view.w.leaves], 1)
        moved = view.w - view.engine.initial()
        distance = view.engine.inner(moved, moved).sqrt()
        return {**{f"x{i}": flat[:, i] for i in range(self.n_coordinates)}, "distance": distance}
