"""Any class of torch.optim, or of a package with the same interface, named in the config.

Source: torch.optim.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from featlearn.optim.torch_rule import TorchRule, evaluates_loss, torch_class


@dataclass(frozen=True, kw_only=True)
class TorchOptim(TorchRule):
    """The step of ``cls``, such as torch.optim.RMSprop, with ``options``; both are checked when the config is read.

    cls: the class, as module.Class.
    options: its keywords besides lr, as a mapping.
    """

    reference: ClassVar[str] = "torch.optim"

    cls: str
    options: dict[str, Any] | str = "{}"  # kept as JSON, which can be compared, hashed and stored

    def __post_init__(self) -> None:
        """Raise ValueError for a class that is no torch optimizer or evaluates the loss itself, or wrong options."""
        if not isinstance(self.options, str):
            object.__setattr__(self, "options", json.dumps(self.options, sort_keys=True))
        self._try_class()
        self._try_step()

    @property
    def path(self) -> str:
        """The class of the optimizer."""
        return self.cls

    def keywords(self) -> dict[str, Any]:
        """Return its options besides lr; lists become the tuples that torch expects."""
        options = json.loads(str(self.options))
        return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}

    def _try_class(self) -> None:
        from torch.optim import Optimizer

        if "." not in self.cls:
            raise ValueError(f"cls = {self.cls}: expected module.Class")
        try:
            found = torch_class(self.cls)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"cls = {self.cls}: {error}") from None
        if not (isinstance(found, type) and issubclass(found, Optimizer)):
            raise ValueError(f"cls = {self.cls} is not an optimizer of torch")
        if evaluates_loss(found):
            raise ValueError(f"cls = {self.cls} evaluates the loss itself, and a rule steps with the gradient it has")

    def _try_step(self) -> None:
        import torch

        parameter = torch.zeros(2, 2, dtype=torch.float64, device="cpu")  # independent of the caller's defaults
        parameter.grad = torch.zeros_like(parameter)
        try:
            optimizer = self.optimizer([parameter])
        except (TypeError, ValueError) as error:
            raise ValueError(f"options: {error}") from None
        try:
            optimizer.step()
        except (TypeError, RuntimeError) as error:  # such as one for sparse gradients
            raise ValueError(f"cls = {self.cls}: {error}") from None
