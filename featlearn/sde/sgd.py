"""The limit of gradient descent: the gradient itself.

Source: Li, Tai and E 2017 (arXiv 1511.06251).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from featlearn.sde.limit import Limit

if TYPE_CHECKING:
    from featlearn.engines.loss import Loss
    from featlearn.engines.vector import Scalar, Vector


class SGDLimit(Limit):
    """D_b = g_b."""

    linear: ClassVar[bool] = True

    def direction(self, loss: Loss, w: Vector, strength: Scalar) -> Vector:
        """Return g_b."""
        return loss.gradient(w)
