"""Statistics of the compiled training kernels, without a GPU: ``python -m featlearn.bench.compiled``.

Triton compiles for any device, and its wheel includes the tools that report registers and spilled bytes per thread, and
the instructions in the loop over steps, summed over the warps of a network. A multiprocessor issues at most four
instructions per cycle, which bounds the time of a step from below.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch

from featlearn.bench.networks import RULES, DType, network
from featlearn.engines.gpu.engine import GPUGramEngine, Launch
from featlearn.engines.protocol import Loss
from featlearn.engines.span.engine import GramEngine
from featlearn.loop import Stepper
from featlearn.loop.tapes import record_step, vectors_of
from featlearn.runs import RunConfig
from featlearn.simulation import build_engine

CAPABILITY = 90  # H100 and H200
TYPES = {torch.float32: "*fp32", torch.float64: "*fp64", torch.int64: "*i64"}
COLUMNS = ("rule", "dtype", "n", "m", "warps", "registers", "spilled bytes", "instructions")


def launch_of(run: RunConfig, level: float | None = None) -> Launch:
    """Return the launch that takes a step of one network with the settings and the rule of ``run``."""
    made = build_engine([run], "cpu")
    assert isinstance(made, GramEngine)
    engine = GPUGramEngine(made.problem)
    state = Stepper(engine, run.optimizer, level).start(Loss(engine, torch.full_like(engine.labels, 1)))
    recorded = record_step(run.optimizer, state, 0)
    if recorded is None:
        raise ValueError(f"a step of {type(run.optimizer).__name__} cannot be recorded")
    program = recorded.program
    vectors = vectors_of((state.w, state.memory))
    kept = [vectors[i] for i in program.kept]
    return engine.launch(program, kept, state.batch[:, None], range(1), level, (state.end, state.stopped))


def compiled(launch: Launch) -> dict[str, int]:
    """Compile the kernel for a GPU; instructions are per step of one network."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    types = {name: TYPES[x.dtype] for name, x in launch.tensors.items()} | dict.fromkeys(launch.sizes, "i32")
    signature = {name: types.get(name, "constexpr") for name in launch.kernel.arg_names}
    source = ASTSource(launch.kernel, signature, launch.constants)
    target = GPUTarget("cuda", CAPABILITY, 32)
    built: Any = triton.compile(source, target=target, options={"num_warps": launch.n_warps})
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"

    def run(name: str, *words: str | Path) -> str:
        done = subprocess.run([tools / name, *words], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    with tempfile.TemporaryDirectory() as folder:
        text, binary = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        text.write_text(built.asm["ptx"])
        output = run("ptxas", "-v", f"-arch=sm_{CAPABILITY}a", text, "-o", binary)
        code = run("nvdisasm", "-c", binary)
    spilled, registers = (int(re.findall(p, output)[0]) for p in (r"(\d+) bytes spill stores", r"Used (\d+) registers"))
    return {
        "warps": launch.n_warps,
        "registers": registers,
        "spilled bytes": spilled,
        "instructions": launch.n_warps * longest_loop(code),
    }


def longest_loop(code: str) -> int:
    """Return the number of instructions of the longest loop, from its label to the backward jump.

    Code after the end of the program, for diverged threads of a warp, is not counted.
    """
    labels: dict[str, int] = {}
    count = longest = 0
    for line in code.splitlines():
        if label := re.match(r"\s*(\.L\w+):", line):
            labels[label[1]] = count
        elif re.match(r"\s+/\*[0-9a-f]{4,}\*/", line):
            count += 1
            jump = re.search(r"BRA.*`\((\.L\w+)\)", line)
            longest = max(longest, count - labels.get(jump[1], count) if jump else 0)
            if re.search(r"\*/\s+EXIT", line):
                break
    return longest


def main() -> None:
    """Print a table of the benchmark's networks."""
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS))
    dtypes: tuple[DType, ...] = ("float32", "float64")
    for n, m in ((10, 5), (20, 10), (50, 20)):
        for dtype in dtypes:
            for rule in RULES:
                run = network(rule, n_samples=n, n_filters=m, dtype=dtype)
                row = [rule, dtype, n, m, *compiled(launch_of(run)).values()]
                print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
