"""Any optimizer of torch as a base rule: each step passes it the weights, the gradient and the state of the last step.

Source: torch.optim, whose classes take the steps here.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.answers import number
from featlearn.optim.schedules import UNCHANGED, LRSchedule
from featlearn.types import Positive

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from featlearn.engines.protocol import Objective, Scalar, Vector

State = dict[int, dict[str, Any]]  # of one run: torch's state of each of its parameters


@dataclass(frozen=True, kw_only=True)
class TorchRule:
    """The step of an optimizer of torch, on the same tensors as in a training loop of torch.

    Every run of a block has its own optimizer. A subclass defines its class and its options besides lr.

    lr: learning rate; the highest one of a schedule.
    lr_schedule: schedule of the factor of lr.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})
    reference: ClassVar[str] = "torch.optim"

    lr: Positive
    lr_schedule: LRSchedule = UNCHANGED

    @property
    def path(self) -> str:
        """The class of the optimizer, as module.Class."""
        raise NotImplementedError

    def keywords(self) -> dict[str, Any]:
        """Return the options of the optimizer besides lr; a tensor [b] holds one per run."""
        return {}

    def rate(self, t: int) -> Scalar:
        """Return the learning rate of step t."""
        return number(self.lr_schedule.factor, t) * self.lr

    def init(self, w: Vector) -> tuple[State, ...]:
        """Return the empty state of every run's optimizer."""
        return tuple({} for _ in range(len(w.leaves[0])))

    def step(self, loss: Objective, w: Vector, memory: tuple[State, ...], t: int) -> tuple[Vector, tuple[State, ...]]:
        """Take step t."""
        return self.update(loss, w, loss.gradient(w), memory, t)

    def update(
        self, loss: Objective, w: Vector, g: Vector, memory: tuple[State, ...], t: int
    ) -> tuple[Vector, tuple[State, ...]]:
        """Take step t with the gradient g. Neither w nor memory is changed in place."""
        import torch

        moved, states = [], []
        for lane, state in enumerate(memory):
            parameters = [leaf[lane].detach().clone() for leaf in w.leaves]
            for parameter, leaf in zip(parameters, g.leaves, strict=True):
                parameter.grad = leaf[lane].clone()
            optimizer = self.optimizer(parameters, lane, t)
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": deepcopy(state), "param_groups": groups})
            optimizer.step()
            moved.append(parameters)
            states.append(optimizer.state_dict()["state"])
        stacked = iter([torch.stack(lanes) for lanes in zip(*moved, strict=True)])
        return w.map(lambda _: next(stacked)), tuple(states)

    def probe(self, loss: Objective, w: Vector, memory: tuple[State, ...], t: int) -> Vector:
        """Return w: the gradient is taken where the parameters are."""
        return w

    def optimizer(self, parameters: list[Tensor], lane: int = 0, t: int = 0) -> Optimizer:
        """Return torch's optimizer of the parameters of a run, at step t, without state."""
        options = {"lr": self.rate(t), **self.keywords()}
        made: Optimizer = torch_class(self.path)(parameters, **{k: _number(x, lane) for k, x in options.items()})
        return made


def torch_class(path: str) -> Any:
    """Return the class at module.Class. Raises ImportError or AttributeError where there is none."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def evaluates_loss(cls: type[Optimizer]) -> bool:
    """Return whether the steps of an optimizer of torch need a closure, as they evaluate the loss themselves."""
    closure = signature(cls.step).parameters.get("closure")
    return closure is not None and closure.default is Parameter.empty


def _number(x: Any, lane: int) -> Any:
    """Return a run's own number of a tensor [b], anything else unchanged; in tuples too."""
    if isinstance(x, tuple):
        return tuple(_number(item, lane) for item in x)
    return float(x.expand(lane + 1)[lane] if x.ndim == 0 else x[lane]) if hasattr(x, "ndim") else x
