"""The text of a Triton kernel that replays a tape (see tape.py): all steps of a run in one launch, its state on chip.

The vector at place i of the tape is coef_i and align_i, second_i where the second layer is trained, and alpha_i where
it may have a part along W0; number i is number_i. The operations call functions of kernels.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from featlearn.engines.tape import CODES, DIVERGED, FITTED, OF_NUMBERS, Program

NAMES = {code: name for name, code in CODES.items()}
SHAPES = {"coef": "f, k, F, P", "align": "f, k, F, P", "second": "f, c, F, C"}

TEXT = """
@triton.jit(do_not_specialize=["n_lanes", "first", "n_steps", "n_batches"])
def replay(
    coefs, aligns, alphas, seconds, numbers, batches, ends, stops, labels, shown, times, grams, starts, squares,
    settings, n_lanes, first, n_steps, n_batches,
    f: tl.constexpr, k: tl.constexpr, n: tl.constexpr, c: tl.constexpr, n_slots: tl.constexpr,
    F: tl.constexpr, P: tl.constexpr, N: tl.constexpr, C: tl.constexpr, ACTIVATION: tl.constexpr, LOSS: tl.constexpr,
):
    lane = tl.program_id(0).to(tl.int64)
    scale, level = tl.load(settings), tl.load(settings + 1)
    y, shows = load_samples(labels, lane, n, N), load_incidence(shown, times, lane, n, n_slots, P, N)
    gram, start = load_matrix(grams, lane, k, k, P, P), load_matrix(starts, lane, f, k, F, P)
    square, full = tl.load(squares + lane), (tl.arange(0, N) < n).to(y.dtype) / n
    end, stopped = tl.load(ends + lane), tl.load(stops + lane)
    {load}
    t = 0
    while (t < n_steps) & (end == 0):
        batch = load_samples(batches, lane * n_batches + tl.minimum(t, n_batches - 1), n, N)
        {step}
        {end}
        t += 1
    {store}
    tl.store(ends + lane, end)
    tl.store(stops + lane, stopped)
"""


def kernel_text(program: Program, *, trained: bool, stops: bool) -> str:
    """Return the kernel's source; ``trained``: the second layer; ``stops``: at a level of the training loss."""
    source = _Source(program, tuple(SHAPES) if trained else ("coef", "align"))
    lines = {"load": source.load(), "step": source.step, "end": source.end(stops), "store": source.store()}
    return TEXT.format(**{key: "\n".ljust(5 if key in ("load", "store") else 9).join(lines[key]) for key in lines})


@dataclass(frozen=True)
class _Source:
    """The lines of the kernel that replays a program, on vectors of these parts, the names in SHAPES, and alpha."""

    program: Program
    parts: Sequence[str]

    def load(self) -> Iterator[str]:
        """Load the constants that are used, a fixed second layer, and the vectors before the first step."""
        operations, width = self.program.operations.tolist(), self.program.numbers.shape[1]
        computed = {out for code, out, *_ in operations if NAMES[code] in OF_NUMBERS}
        for i in sorted({int(i) for line in self.step for i in re.findall(r"number_(\d+)", line)} - computed):
            yield f"number_{i} = tl.load(numbers + lane * {width} + {i})"
        if "second" not in self.parts:
            yield f"second = load_matrix(seconds, 0, {SHAPES['second']})"
        for i in range(len(self.program.kept)):
            for part in self.parts:
                yield f"{part}_{i} = load_matrix({part}s, {i} * n_lanes + lane, {SHAPES[part]})"
            yield f"alpha_{i} = tl.load(alphas + {i} * n_lanes + lane)"

    def store(self) -> Iterator[str]:
        """Overwrite the vectors before the first step with those after the last."""
        for i in range(len(self.program.kept)):
            for part in self.parts:
                yield f"store_matrix({part}s, {i} * n_lanes + lane, {part}_{i}, {SHAPES[part]})"
            yield f"tl.store(alphas + {i} * n_lanes + lane, alpha_{i})"

    @property
    def step(self) -> list[str]:
        """The operations."""
        return self._step[0]

    @property
    def in_span(self) -> set[int]:
        """The places, after a step, of vectors with no part along W0, whose alpha is left out."""
        return self._step[1]

    @cached_property
    def _step(self) -> tuple[list[str], set[int]]:
        lines, in_span = [], set[int]()
        for code, out, u, v, a in self.program.operations.tolist():
            name, times = NAMES[code], f"number_{a} * " if a else ""
            if name in OF_NUMBERS:
                lines.append(f"number_{out} = {self._number(name, u, v, a, in_span)}")
            elif name in ("gradient", "full gradient"):
                at = {part: f"{part}_{u} + {times}{part}_{v}" if v >= 0 else f"{part}_{u}" for part in self.parts}
                batch = "full" if name == "full gradient" else "batch"
                found = ", ".join(f"{part}_{out}" if part in self.parts else "_" for part in SHAPES)
                lines.append(f"{found} = gradient({self._network(at)}, {batch}, gram, f, c, ACTIVATION, LOSS)")
                in_span.add(out)
            elif name not in ("scale", "add"):
                raise ValueError(f"the kernel has no operation {name!r}")
            else:
                terms = [f"{times}{{}}_{u}"] if name == "scale" else [f"{{}}_{u}", f"{times}{{}}_{v}"]
                lines += [f"{part}_{out} = {' + '.join(terms).format(part, part)}" for part in self.parts]
                along = [term.format("alpha") for term, x in zip(terms, (u, v), strict=False) if x not in in_span]
                lines += [f"alpha_{out} = {' + '.join(along)}"] if along else []
                (in_span.discard if along else in_span.add)(out)
        return lines, in_span

    def _network(self, at: dict[str, str]) -> str:
        return f"{at['align']}, {at.get('second', 'second')}, y, shows, scale"

    def _number(self, name: str, u: int, v: int, a: int, in_span: set[int]) -> str:
        if name in ("inverse root", "root"):
            return f"{name.replace(' ', '_')}(number_{a})"
        if name in ("ratio", "exceeds"):
            return f"{name}(number_{u}, number_{a})"
        if name == "multiply":
            return f"number_{u} * number_{a}"
        if name != "inner":
            raise ValueError(f"the kernel has no operation {name!r}")
        terms = [f"inner(coef_{u}, align_{v})"]
        terms += [f"inner(second_{u}, second_{v})"] if "second" in self.parts else []
        terms += [] if u in in_span else [f"alpha_{u} * inner(coef_{v}, start)"]
        terms += [] if u in in_span or v in in_span else [f"alpha_{u} * alpha_{v} * square"]
        return " + ".join(terms)

    def end(self, stops: bool) -> Iterator[str]:
        """Move to the new vectors unless w has diverged, and check whether it has fitted."""
        w = self.program.results[0]
        others = [f"inner(second_{w}, second_{w})"] if "second" in self.parts else []
        others += [] if w in self.in_span else [f"alpha_{w} * alpha_{w}"]
        yield f"if is_finite(coef_{w}, align_{w}, {' + '.join(others) or 0}):"
        for i, j in enumerate(self.program.results.tolist()):
            if i != j:
                names = [[f"{part}_{x}" for part in self.parts] for x in (i, j)]
                yield f"    {', '.join(names[0])} = {', '.join(names[1])}"
                yield f"    alpha_{i} = " + (f"0 * alpha_{i}" if j in self.in_span else f"alpha_{j}")
        yield from ("else:", f"    end, stopped = end + {DIVERGED}, 0 * stopped + first + t")
        if stops:
            at = {part: f"{part}_0" for part in self.parts}
            yield f"if (end == 0) & (mean_loss({self._network(at)}, n, c, ACTIVATION, LOSS) <= level):"
            yield f"    end, stopped = end + {FITTED}, 0 * stopped + first + t + 1"
