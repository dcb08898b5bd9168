"""Adam and AdamW, as torch has them.

Source: Kingma and Ba 2015 (arXiv 1412.6980); Loshchilov and Hutter 2019 (1711.05101).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from featlearn.optim.torch_rule import TorchRule
from featlearn.types import Fraction, NonNegative


@dataclass(frozen=True, kw_only=True)
class Adam(TorchRule):
    """torch.optim.Adam: w <- w - lr mhat / (sqrt(vhat) + eps), with bias-corrected moving averages m of g and v of g^2.

    beta1: share of m kept at each step.
    beta2: share of v kept at each step.
    eps: summand that avoids a division by zero.
    weight_decay: coefficient of w in g (coupled).
    """

    reference: ClassVar[str] = "Kingma and Ba 2015, arXiv 1412.6980"

    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0

    @property
    def path(self) -> str:
        """The class of the optimizer."""
        return "torch.optim.Adam"

    def keywords(self) -> dict[str, Any]:
        """Return its options besides lr."""
        return {"betas": (self.beta1, self.beta2), "eps": self.eps, "weight_decay": self.weight_decay}


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """torch.optim.AdamW: Adam, with w <- (1 - lr weight_decay) w in place of decay within g.

    weight_decay: decoupled decay, at the rate lr weight_decay.
    """

    reference: ClassVar[str] = "Loshchilov and Hutter 2019, arXiv 1711.05101"

    weight_decay: NonNegative = 0.01

    @property
    def path(self) -> str:
        """The class of the optimizer."""
        return "torch.optim.AdamW"
