"""The text of a Triton kernel that plays a tape (see tape.py): all steps of a run in one launch, its state on chip.

The vector at place i of the tape is coef_i and align_i, and alpha_i where it may have a part along W0; number i is
number_i. What the operations call stands in device_kernels.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from featlearn.engines.tape import CODES, DIVERGED, FITTED, OF_NUMBERS, Program

NAMES = {code: name for name, code in CODES.items()}
NETWORK = "y, signs, shows, scale, gram, k, KIND, BIAS"

TEXT = """
@triton.jit(do_not_specialize=["n_lanes", "first", "n_steps", "n_batches"])
def play(
    coefs, aligns, alphas, numbers, batches, ends, stops, labels, true_labels, grams, starts, squares, settings,
    n_lanes, first, n_steps, n_batches,
    f: tl.constexpr, k: tl.constexpr, n: tl.constexpr, n_noises: tl.constexpr,
    F: tl.constexpr, P: tl.constexpr, N: tl.constexpr, KIND: tl.constexpr, BIAS: tl.constexpr,
):
    lane = tl.program_id(0).to(tl.int64)
    scale, noise_count, level = tl.load(settings), tl.load(settings + 1), tl.load(settings + 2)
    y, true_y = load_samples(labels, lane, n, N), load_samples(true_labels, lane, n, N)
    signs, shows = second_layer(y, f, F), shown(true_y, noise_count, n, n_noises, k, P)
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


def kernel_text(program: Program, *, stops: bool) -> str:
    """Return the kernel's source; ``stops``: at a level of the training loss."""
    step, in_span = _step(program)
    lines = {"load": _load(program, step), "step": step, "end": _end(program, in_span, stops), "store": _store(program)}
    return TEXT.format(**{key: "\n".ljust(5 if key in ("load", "store") else 9).join(lines[key]) for key in lines})


def _load(program: Program, step: Sequence[str]) -> Iterator[str]:
    """Load the constants that are used, and the vectors before the first step."""
    operations, width = program.operations.tolist(), program.numbers.shape[1]
    computed = {out for code, out, *_ in operations if NAMES[code] in OF_NUMBERS}
    for i in sorted({int(i) for line in step for i in re.findall(r"number_(\d+)", line)} - computed):
        yield f"number_{i} = tl.load(numbers + lane * {width} + {i})"
    for i in range(len(program.kept)):
        yield f"coef_{i} = load_matrix(coefs, {i} * n_lanes + lane, f, k, F, P)"
        yield f"align_{i} = load_matrix(aligns, {i} * n_lanes + lane, f, k, F, P)"
        yield f"alpha_{i} = tl.load(alphas + {i} * n_lanes + lane)"


def _step(program: Program) -> tuple[list[str], set[int]]:
    """Return the operations, and the places of the vectors with no part along W0, whose alpha is left out."""
    lines, in_span = [], set[int]()
    for code, out, u, v, a in program.operations.tolist():
        name, times = NAMES[code], f"number_{a} * " if a else ""
        if name in OF_NUMBERS:
            lines.append(f"number_{out} = {_number(name, u, v, a, in_span)}")
        elif name in ("gradient", "full gradient"):
            at = f"align_{u} + {times}align_{v}" if v >= 0 else f"align_{u}"
            batch = "full" if name == "full gradient" else "batch"
            lines.append(f"coef_{out}, align_{out} = gradient({at}, {batch}, {NETWORK})")
            in_span.add(out)
        elif name not in ("scale", "add"):
            raise ValueError(f"the kernel has no operation {name!r}")
        else:
            terms = [f"{times}{{}}_{u}"] if name == "scale" else [f"{{}}_{u}", f"{times}{{}}_{v}"]
            lines += [f"{part}_{out} = {' + '.join(terms).format(part, part)}" for part in ("coef", "align")]
            along = [term.format("alpha") for term, x in zip(terms, (u, v), strict=False) if x not in in_span]
            lines += [f"alpha_{out} = {' + '.join(along)}"] if along else []
            (in_span.discard if along else in_span.add)(out)
    return lines, in_span


def _number(name: str, u: int, v: int, a: int, in_span: set[int]) -> str:
    if name in ("inverse root", "root"):
        return f"{name.replace(' ', '_')}(number_{a})"
    if name in ("ratio", "exceeds"):
        return f"{name}(number_{u}, number_{a})"
    if name == "multiply":
        return f"number_{u} * number_{a}"
    if name != "inner":
        raise ValueError(f"the kernel has no operation {name!r}")
    span, along = f"inner(coef_{u}, align_{v})", f"alpha_{u} * inner(coef_{v}, start)"
    if u in in_span:
        return span
    return f"{span} + {along}" if v in in_span else f"{span} + {along} + alpha_{u} * alpha_{v} * square"


def _end(program: Program, in_span: set[int], stops: bool) -> Iterator[str]:
    """Go on to the new vectors, unless w has diverged; has it fitted?"""
    w = program.results[0]
    yield f"if is_finite(coef_{w}, align_{w}, {0 if w in in_span else f'alpha_{w}'}):"
    for i, j in enumerate(program.results.tolist()):
        if i != j:
            yield f"    coef_{i}, align_{i} = coef_{j}, align_{j}"
            yield f"    alpha_{i} = " + (f"0 * alpha_{i}" if j in in_span else f"alpha_{j}")
    yield from ("else:", f"    end, stopped = end + {DIVERGED}, 0 * stopped + first + t")
    if stops:
        yield f"if (end == 0) & (mean_loss(align_0, {NETWORK}) <= level):"
        yield f"    end, stopped = end + {FITTED}, 0 * stopped + first + t + 1"


def _store(program: Program) -> Iterator[str]:
    for i in range(len(program.kept)):
        yield f"store_matrix(coefs, {i} * n_lanes + lane, coef_{i}, f, k, F, P)"
        yield f"store_matrix(aligns, {i} * n_lanes + lane, align_{i}, f, k, F, P)"
        yield f"tl.store(alphas + {i} * n_lanes + lane, alpha_{i})"
