"""The Gram engine with its hot loops fused for a CPU: the numbers of engines/span/engine.py in fewer passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.cpu import loops
from featlearn.engines.cpu.coordinates import WideCoordinates
from featlearn.engines.cpu.curvature import CPUGramCurvature
from featlearn.engines.cpu.network import buffers_of, data_of, network_of
from featlearn.engines.cpu.packed import PackedVector, pack
from featlearn.engines.cpu.replay import Work, replay
from featlearn.engines.cpu.shards import ShardEngine
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Loss, Vector
from featlearn.engines.shards import Shards
from featlearn.engines.span.curvature import GramCurvature
from featlearn.engines.span.engine import GramEngine
from featlearn.engines.tape import Program

RunStatus = tuple[Tensor, Tensor]


class CPUGramEngine(GramEngine):
    """GramEngine for tensors on a CPU; its Vectors are packed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        _keep_freed_memory()
        self._initial = cast(PackedVector, super().initial())
        self.network, self._data = network_of(problem), data_of(problem)
        self._buffers = buffers_of(problem, self._data)

    def initial(self) -> Vector:
        """Return W0: alpha = 1, C = 0."""
        return self._initial

    def vector(self, alpha: Tensor, coef: Tensor, align: Tensor, second: Tensor | None = None) -> PackedVector:
        """Return alpha W0 + C X, whose alignments are ``align``, with the second layer where it is trained."""
        return pack(alpha, coef, align, second)

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient of sum_i batch_i loss(F_i, y_i) at w (see GramEngine.gradient)."""
        w = cast(PackedVector, w)
        start, part, _ = w.terms
        rows, squares = torch.empty_like(start), start.new_empty(len(start))
        loops.gradient(
            start.numpy(),
            (squares if part is None else w.factors).numpy(),
            (start if part is None else part).numpy(),
            part is not None,
            self._data if labels is None else self._data._replace(labels=labels.numpy()),
            batch.numpy(),
            self.network,
            self._buffers,
            rows.numpy(),
            squares.numpy(),
        )
        return PackedVector((rows,), layout=w.layout, square=squares)

    def replay(
        self,
        program: Program,
        given: Sequence[Vector],
        batches: Tensor,
        steps: range,
        level: float | None,
        status: RunStatus,
    ) -> tuple[list[Vector], RunStatus]:
        """Take ``steps``, on ``batches`` [b, T, n], the last of them for all that follow (see replay.replay).

        given: the vectors that the program keeps. status: end and stopped [b], as in loop.state.State; runs that have
        ended keep their vectors. Returns the new vectors and the new status.
        """
        rows = [cast(PackedVector, v).rows for v in given]
        starts = rows[0][None].contiguous() if len(rows) == 1 else torch.stack(rows)
        out, (end, stopped) = torch.empty_like(starts), (x.clone() for x in status)
        m, b, size = *starts.shape[:2], starts[0, 0].numel()
        vectors = starts.new_empty(program.n_vectors, size).numpy()
        full = np.full_like(self._data.labels[0], 1 / self.problem.n_samples)
        replay(
            (program.operations, program.results, program.numbers.clone().numpy()),
            starts.reshape(m, b, size).numpy(),
            batches.numpy(),
            steps.start,
            len(steps),
            math.nan if level is None else level,
            (end.numpy(), stopped.numpy()),
            self._data,
            (self._initial.rows.reshape(b, size).numpy(), self._init_square.numpy()),
            self.network,
            self._buffers,
            Work(vectors, np.arange(len(vectors)), np.empty(len(vectors)), full),
            out.reshape(m, b, size).numpy(),
        )
        return [self._initial.made(rows) for rows in out], (end, stopped)

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b] (see GramEngine.inner); <g, g> of a gradient is stored with it."""
        u, v = cast(PackedVector, u), cast(PackedVector, v)
        if u is v and (known := u.own_square) is not None:
            return known
        out, size = self._init_square.new_empty(len(self._init_square)), len(self._buffers.z)
        rows = (x.numpy() for x in (u.rows, v.rows, self._initial.rows, self._init_square))
        loops.inner(*rows, size, out.numpy())
        return out

    def curvature(self, w: Vector, batch: Tensor) -> GramCurvature:
        """Return the Hessian at w of sum_i batch_i loss(F_i, y_i)."""
        kind = CPUGramCurvature if self._one_fixed_output else GramCurvature
        return kind(self, self._coordinates, w, batch)

    def part(self, samples: Tensor) -> Any:
        """Return the engine of micro-batches [b, s, n'], as b s lanes."""
        if not self._one_fixed_output:
            return super().part(samples)
        return ShardEngine(self, samples, self._data, self._initial.layout)

    def shards(self, loss: Loss, size: int) -> Shards:
        """Return the micro-batches of ``size`` samples that a mini-batch is cut into (see PatchEngine.shards)."""
        made = super().shards(loss, size)
        part: Any = made.loss.engine
        return replace(made, split=part.split, mean=part.mean) if isinstance(part, ShardEngine) else made

    @cached_property
    def _coordinates(self) -> WideCoordinates:
        return WideCoordinates(self.problem.gram)

    @cached_property
    def _one_fixed_output(self) -> bool:
        """Whether the second layer is one fixed column, which the loops of micro-batches and curvature expect."""
        return self.problem.n_outputs == 1 and not self.problem.trained


@cache
def _keep_freed_memory() -> None:
    """Make the C library keep the memory of freed vectors, instead of mapping new pages at every step.

    glibc returns freed memory to the system above a threshold: twice the size of the largest separately mapped block
    that has been freed, for blocks up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD). Freeing this one raises the threshold;
    its pages are never touched.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
