"""Average-direction sharpness: how much the training loss rises at a distance in a random direction.

Source: Wen, Ma & Li 2022 (arXiv 2211.05729), who relate it to the trace of the Hessian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from featlearn.streams import stream
from featlearn.types import Bound, Positive

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import View


@dataclass(frozen=True, kw_only=True)
class AverageSharpness:
    """average_sharpness: mean of L(w + eps) - L(w) over Gaussian eps of mean square length radius^2.

    eps ~ N(0, radius^2 / D I) in all D parameters; to second order the mean is radius^2 / (2 D) times the Hessian's
    trace. Directions come in pairs +-eps from the run's seed, the same at every step and for every rule;
    average_sharpness_se is the standard error over the pairs. The draws of the two engines are equal in law, not in
    value.

    radius: the distance, the same for all runs; not the rule's rho.
    n_directions: pairs of directions.
    """

    radius: Positive = 0.05
    n_directions: Annotated[int, Bound(ge=2, le=2**16)] = 16

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        import torch

        engine, w = view.engine, view.w
        std = self.radius / view.engine.n_parameters.sqrt()
        rngs = [stream(seed, "average_sharpness") for seed in view.engine.seeds.tolist()]
        here, rises = view.losses.mean(1), []
        for _ in range(self.n_directions):
            eps = std * engine.normal(rngs)
            rises.append((engine.losses(w + eps).mean(1) + engine.losses(w - eps).mean(1)) / 2 - here)
        rise = torch.stack(rises)
        return {
            "average_sharpness": rise.mean(0),
            "average_sharpness_se": rise.std(0) / self.n_directions**0.5,
        }
