"""How well the training set is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import View


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Training loss, training error and gradient norm, on the whole training set with its observed labels.

    train_loss: mean over samples of the network's loss, or a landscape's own. train_error: share of samples with
    y_i f_i < 0, or with a wrong largest output; f_i = 0 counts one half, a tie of k classes 1 - 1/k; absent without
    classes.
    grad_norm: Euclidean norm of the gradient of train_loss over all parameters; infinite where the gradient overflows.
    """

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        errors = {} if view.mistakes is None else {"train_error": view.mistakes.mean(1)}
        return {"train_loss": view.losses.mean(1), **errors, "grad_norm": view.grad_norm}
