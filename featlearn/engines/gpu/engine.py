"""The Gram engine on a GPU: all steps between host synchronisations in one launch, each network on chip (Triton)."""

from __future__ import annotations

import linecache
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from featlearn.custom import is_own
from featlearn.engines.gpu import kernels
from featlearn.engines.gpu.source import kernel_text
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Vector
from featlearn.engines.span.engine import GramEngine
from featlearn.engines.tape import Program
from featlearn.functions import activation, loss

RunStatus = tuple[Tensor, Tensor]
LEAVES = ("alphas", "coefs", "aligns", "seconds")  # of several vectors: the kernel's argument names
LEAST = 16  # rows and columns of a matrix product, at least
MOST = 64 * 64  # numbers in a matrix, at most: the registers of a multiprocessor hold several such matrices


@dataclass(frozen=True)
class Launch:
    """A kernel with its arguments by name: tensors, of which it overwrites the first ones, and sizes."""

    kernel: Any
    tensors: dict[str, Tensor]
    sizes: dict[str, int]
    constants: dict[str, Any]
    n_warps: int

    def __call__(self) -> None:
        """Run one program per network."""
        grid = (self.sizes["n_lanes"],)
        self.kernel[grid](**self.tensors, **self.sizes, **self.constants, num_warps=self.n_warps)


class GPUGramEngine(GramEngine):
    """GramEngine whose recorded steps one kernel replays; everything else is plain torch."""

    def __init__(self, problem: Problem) -> None:
        """Raise ValueError for an activation or a loss that has no formula."""
        activation(problem.activation.name), loss(problem.loss.name)
        super().__init__(problem)

    def replay(
        self,
        program: Program,
        given: Sequence[Vector],
        batches: Tensor,
        steps: range,
        level: float | None,
        status: RunStatus,
    ) -> tuple[list[Vector], RunStatus]:
        """Take ``steps``, on ``batches`` [b, T, n], the last of them for all that follow (see CPUGramEngine.replay)."""
        launch = self.launch(program, given, batches, steps, level, status)
        launch()
        tensors = launch.tensors
        vectors = zip(*(tensors[name] for name in LEAVES[: len(given[0].leaves)]), strict=True)
        return [Vector(leaves) for leaves in vectors], (tensors["ends"], tensors["stops"])

    def launch(
        self,
        program: Program,
        given: Sequence[Vector],
        batches: Tensor,
        steps: range,
        level: float | None,
        status: RunStatus,
    ) -> Launch:
        """Return the launch that ``replay`` runs, on copies of the tensors that change."""
        p, (b, f, k) = self.problem, self.problem.align0.shape
        vectors = [torch.stack(leaves) for leaves in zip(*(v.leaves for v in given), strict=True)]
        changing = dict(zip(LEAVES, vectors, strict=False)) | {"ends": status[0].clone(), "stops": status[1].clone()}
        fixed = {
            "seconds": p.head,
            "numbers": program.numbers,
            "batches": batches,
            "labels": p.labels,
            "shown": p.shown,
            "times": p.gram.new_tensor(p.times),
            "grams": p.gram,
            "starts": p.align0,
            "squares": self._init_square,
            "settings": p.gram.new_tensor([p.scale, math.nan if level is None else level]),
        }
        own = {"f": f, "k": k, "n": p.n_samples, "c": p.n_outputs, "n_slots": len(p.slots)}
        rows, columns, samples, outputs = padded_shape(p)
        padded = {"F": rows, "P": columns, "N": samples, "C": outputs}
        return Launch(
            kernel=kernel(kernel_text(program, trained=p.trained, stops=level is not None)),
            tensors={name: x.contiguous() for name, x in (fixed | changing).items()},
            sizes={"n_lanes": b, "first": steps.start, "n_steps": len(steps), "n_batches": batches.shape[1]},
            constants=own | padded | {"ACTIVATION": p.activation.name, "LOSS": p.loss.name},
            n_warps=n_warps(rows * columns, p.gram.dtype),
        )


def padded_shape(problem: Problem) -> tuple[int, int, int, int]:
    """Return filters, patches, samples and outputs padded for the kernel: powers of two."""
    _, f, k = problem.align0.shape
    return _padded(f), _padded(k), _padded(problem.n_samples), _padded(problem.n_outputs, least=1)


def _padded(size: int, least: int = LEAST) -> int:
    return max(least, 1 << (size - 1).bit_length())


def fits(problem: Problem) -> bool:
    """Return whether a network's matrices fit on chip, and its functions are built in: kernels know no others."""
    if is_own(problem.activation.name) or is_own(problem.loss.name):
        return False
    rows, columns, samples, outputs = padded_shape(problem)
    return max(columns, outputs) * max(rows, columns, samples) <= MOST


def n_warps(size: int, dtype: torch.dtype) -> int:
    """Return how many warps share matrices of ``size`` numbers: in float32 enough that a thread's registers suffice.

    In float64 registers spill in any case, so as few as give the fewest instructions: tensor cores compute the products
    in tiles so large that more warps would repeat work. Counted in the code compiled for sm_90, not timed
    (``python -m featlearn.bench.compiled``).
    """
    return max(1, size // 256 if dtype == torch.float32 else min(4, size // 512))


@cache
def kernel(text: str) -> Any:
    """Compile a kernel's source, which Triton reads from a file."""
    name, names = f"<featlearn kernel {zlib.crc32(text.encode()):x}>", dict(vars(kernels))
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), names)
    return names["replay"]
