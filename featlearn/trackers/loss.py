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

    train_loss: mean of log(1 + exp(-y_i f_i)). train_error: share of y_i f_i < 0, an output of exactly zero counting
    one half. grad_norm: Euclidean norm of the gradient of train_loss over all parameters.
    """

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        from featlearn.models.losses import logistic, mistakes

        return {
            "train_loss": logistic(view.margins).mean(1),
            "train_error": mistakes(view.margins).mean(1),
            "grad_norm": view.grad_norm,
        }
