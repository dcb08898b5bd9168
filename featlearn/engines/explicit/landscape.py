"""The weight engine for a landscape: a loss defined in models/, the runs of a block lanes of one batched call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.explicit.autograd import AutogradEngine, lanes_inside
from featlearn.engines.explicit.taped import Tape, record
from featlearn.engines.protocol import Loss, Vector, View, batch_weights
from featlearn.engines.shards import Shards, averaged, cut, repeated, whole
from featlearn.functions.losses import mistakes
from featlearn.models.landscape import Landscape


class LandscapeEngine(AutogradEngine):
    """Parameters are the landscape's leaves; the data of its loss are drawn once, and never trained."""

    provides = frozenset({"coordinates"})

    def __init__(
        self,
        models: Sequence[Landscape],
        datas: Sequence[Any],
        seeds: Sequence[int],
        *,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
    ) -> None:
        """Draw every run from its own seed; the models of a block differ only in real numbers, part of the draws."""
        runs = list(zip(models, datas, seeds, strict=True))

        def stacked(draws: Sequence[tuple[np.ndarray, ...]]) -> tuple[Tensor, ...]:
            arrays = [np.stack(lanes) for lanes in zip(*draws, strict=True)]
            return tuple(lanes_inside(torch.as_tensor(array, dtype=dtype).to(device)) for array in arrays)

        self._initial = Vector(stacked([model.initial(seed, data) for model, data, seed in runs]))
        self._given = stacked([model.given(seed, data) for model, data, seed in runs])
        self.seeds = torch.as_tensor(seeds, dtype=torch.int64).to(device)
        sizes = [model.n_parameters(data) for model, data in zip(models, datas, strict=True)]
        self.n_parameters = torch.tensor(sizes, dtype=dtype, device=device)
        self.labels = torch.ones(len(runs), datas[0].n_samples, dtype=dtype, device=device)
        self._losses = torch.func.vmap(models[0].losses)
        self._margins = torch.func.vmap(models[0].margins)
        self._tapes: dict[Any, Tape | None] = {}

    def losses(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return the landscape's loss of every sample, [b, n]; n = 1 for a function of the parameters alone.

        Raises ValueError for labels: a landscape has none to replace.
        """
        if labels is not None:
            raise ValueError("a landscape has no labels to replace")
        losses: Tensor = self._losses(w.leaves, self._given)
        return losses.reshape(self.labels.shape)

    def linearize(
        self, w: Vector, batch: Tensor, labels: Tensor | None = None
    ) -> tuple[Vector, Callable[[Vector], Vector]]:
        """Return the gradient of sum_i batch_i loss_i at w, and the function v -> H v, from a tape on a CPU."""
        inputs = *w.leaves, *self._given, batch
        key = tuple((x.shape, x.stride(), x.dtype) for x in inputs)
        if key not in self._tapes and not batch.is_cuda:
            self._tapes[key] = self._recorded(w, batch)
        tape = self._tapes.get(key)
        if tape is None or labels is not None:
            return super().linearize(w, batch, labels)
        gradient, product = tape(inputs)
        return Vector(tuple(gradient)), lambda v: Vector(tuple(product(v.leaves)))

    def _recorded(self, w: Vector, batch: Tensor) -> Tape | None:
        def linearize() -> tuple[Sequence[Tensor], Callable[[Sequence[Tensor]], Sequence[Tensor]]]:
            g, hvp = super(LandscapeEngine, self).linearize(Vector(leaves), batch)
            return g.leaves, lambda v: hvp(Vector(tuple(v))).leaves

        leaves = w.leaves
        return record(linearize, (*leaves, *self._given, batch), tuple(torch.empty_like(leaf) for leaf in leaves))

    def double(self) -> LandscapeEngine:
        """Return the engine with its draws in float64."""
        exact = copy(self)
        exact._given = tuple(array.double() for array in self._given)
        return exact

    def view(self, w: Vector, probe: Vector, **seen: Any) -> View:
        """Show the point w to trackers; mistakes are None unless the data have classes."""
        margins = self._margins(w.leaves, self._given)
        wrong = mistakes(margins) if margins.numel() else None
        return View(w=w, probe=probe, losses=self.losses(w), mistakes=wrong, **seen)

    def shards(self, loss: Loss, size: int) -> Shards:
        """Return the micro-batches of ``size`` samples that a mini-batch is cut into, in the order it was drawn in.

        Each costs as much as the whole set: it is that set with other sample weights, as draws need not be per sample.
        All of a run have its seed, hence the gradient noise of the mini-batch.
        """
        if size == loss.size:
            return whole(loss)
        samples = cut(loss, size)
        count = samples.shape[1]
        part = copy(self)
        part._given = tuple(array.repeat_interleave(count, 0) for array in self._given)
        part._initial = repeated(self._initial, count)
        part.seeds, part.n_parameters = (x.repeat_interleave(count) for x in (self.seeds, self.n_parameters))
        part.labels = self.labels.repeat_interleave(count, 0)
        batch = batch_weights(samples.flatten(0, 1), part.labels)
        lanes = replace(loss, engine=part, batch=batch, samples=None)
        return Shards(lanes, count, partial(repeated, count=count), partial(averaged, count=count))
