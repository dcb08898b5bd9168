"""The Gram engine with its hot loops fused for a CPU: the same numbers as gram.py, in a fraction of the passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import cast

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.cpu import loops, replay
from featlearn.engines.cpu.curvature import CPUGramCurvature
from featlearn.engines.cpu.geometry import WideGeometry
from featlearn.engines.cpu.packed import PackedVector, pack
from featlearn.engines.cpu.shards import ShardedGramEngine
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Vector
from featlearn.engines.tape import Program
from featlearn.functions.compiled import kind_of
from featlearn.tiles import pad_columns

RunStatus = tuple[Tensor, Tensor]


class CPUGramEngine(ShardedGramEngine):
    """GramEngine for tensors on a CPU; its Vectors are packed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        _keep_freed_memory()
        self._initial = cast(PackedVector, super().initial())
        self._gram = pad_columns(problem.gram.numpy(), least=self._initial.rows.shape[2])
        self._true_labels = problem.true_labels.numpy()
        self._room = loops.workspace_for(self._initial.rows, problem.n_samples)
        self._network = (
            kind_of(problem.activation.name),
            problem.scale,
            problem.noise_count,
            problem.n_noises,
            problem.bias,
        )

    def initial(self) -> Vector:
        """Return W0: alpha = 1, C = 0."""
        return self._initial

    def vector(self, alpha: Tensor, coef: Tensor, align: Tensor) -> Vector:
        """Return alpha W0 + C V, whose alignments are ``align``."""
        return pack(alpha, coef, align)

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient of sum_i batch_i log(1 + exp(-y_i f_i)) at w (see GramEngine.gradient)."""
        w = cast(PackedVector, w)
        start, part, _ = w.terms
        rows, squares = torch.empty_like(start), start.new_empty(len(start))
        loops.gradient(
            start.numpy(),
            (squares if part is None else w.factors).numpy(),
            (start if part is None else part).numpy(),
            part is not None,
            (self.problem.labels if labels is None else labels).numpy(),
            self._true_labels,
            batch.numpy(),
            self._gram,
            self._network,
            self._room,
            rows.numpy(),
            squares.numpy(),
        )
        return PackedVector((rows,), n_vectors=self._gram.shape[1], square=squares)

    def play(
        self,
        program: Program,
        given: Sequence[Vector],
        batches: Tensor,
        steps: range,
        level: float | None,
        status: RunStatus,
    ) -> tuple[list[Vector], RunStatus]:
        """Take ``steps``, on ``batches`` [b, T, n], the last of them for all that follow (see replay.play).

        given: the vectors that the program keeps. status: end and stopped [b], as in loop.state.State; runs that have
        ended stay where they are. Returns what has become of both.
        """
        rows = [cast(PackedVector, v).rows for v in given]
        starts = rows[0][None].contiguous() if len(rows) == 1 else torch.stack(rows)
        out, (end, stopped) = torch.empty_like(starts), (x.clone() for x in status)
        m, b, size = *starts.shape[:2], starts[0, 0].numel()
        data = self.problem.labels, self._initial.rows.reshape(b, size), self._init_square
        labels, initial, square0 = (x.numpy() for x in data)
        full = np.full_like(labels[0], 1 / labels.shape[1])
        vectors = starts.new_empty(program.n_vectors, size).numpy()
        replay.play(
            (program.operations, program.results, program.numbers.clone().numpy()),
            starts.reshape(m, b, size).numpy(),
            batches.numpy(),
            steps.start,
            len(steps),
            math.nan if level is None else level,
            (end.numpy(), stopped.numpy()),
            (labels, self._true_labels, self._gram, initial, square0),
            self._network,
            self._room,
            (vectors, np.arange(len(vectors)), np.empty(len(vectors)), full),
            out.reshape(m, b, size).numpy(),
        )
        return [PackedVector((rows,), n_vectors=self._gram.shape[1]) for rows in out], (end, stopped)

    def curvature(self, w: Vector, batch: Tensor) -> CPUGramCurvature:
        """Return the Hessian at w of sum_i batch_i log(1 + exp(-y_i f_i))."""
        return CPUGramCurvature(self._patches, w.leaves[2], batch, self.vector)

    @cached_property
    def _patches(self) -> WideGeometry:
        return WideGeometry(self.problem)

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b] (see GramEngine.inner); of a gradient with itself it is known."""
        u, v = cast(PackedVector, u), cast(PackedVector, v)
        if u is v and (known := u.own_square) is not None:
            return known
        out = self._init_square.new_empty(len(self._init_square))
        arrays = u.rows, v.rows, self._initial.rows, self._init_square, out
        loops.inner(*(x.numpy() for x in arrays))
        return out


def _keep_freed_memory() -> None:
    """Make the C library keep the memory of vectors that are no longer used, in place of fresh pages for every step.

    glibc hands freed memory back to the system at twice the size of the largest block that it mapped alone and that was
    freed, of those up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD); these pages are never touched.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
