"""tests/ mirrors featlearn/: the module a/b.py has the test file a/test_b.py, or stands in WITHOUT with the reason.

The names of a package (__init__.py, __main__.py) are tested with its modules.
"""

from pathlib import Path

import pytest

import featlearn

PACKAGE, TESTS = Path(featlearn.__file__).parent, Path(__file__).parent
LANDSCAPES = "held by tests/models/test_landscapes.py over every landscape"
SECTIONS = "held by tests/bench/test_bench.py over every section of a report"
TO_COME = """
    cli.measuring cli.reading cli.running
    data.chebyshev data.digits data.gaussian data.none
    engines.cpu.curvature engines.cpu.engine engines.cpu.geometry engines.cpu.hessian engines.cpu.lanczos
    engines.cpu.loops engines.cpu.replay engines.cpu.shard_loops
    engines.explicit.autograd engines.explicit.curvature engines.explicit.engine
    engines.gpu.kernels engines.gpu.source
    engines.loss engines.numbers engines.patches engines.problem engines.protocol engines.random_direction
    engines.shards engines.tape engines.vector
    engines.span.curvature engines.span.geometry
    loop.batches loop.recorder loop.recording loop.state
    optim.adam optim.answers optim.component_sam optim.dnsam optim.ema_sam optim.formulas optim.fsam optim.gsam
    optim.looksam optim.nsam optim.signsgd optim.torch_optim optim.usam optim.vasso optim.wrapper optim.wsam
    optim.torch.base optim.torch.memory optim.torch.numbers optim.torch.objective optim.torch.optimizer
    optim.torch.passes optim.torch.plain optim.torch.space
    tables.resamples
    trackers.error_loops trackers.grad_alignment trackers.hessian_trace
"""
WITHOUT = {
    "bench.curvature": SECTIONS,
    "bench.duel": SECTIONS,
    "bench.figures": SECTIONS,
    "bench.machine": SECTIONS,
    "models.landscape": LANDSCAPES,
    "models.product": LANDSCAPES,
    "models.valley": LANDSCAPES,
    "streams.loops": "held by tests/streams/test_lanes.py, bit by bit against plain torch",
    **dict.fromkeys(TO_COME.split(), "to come"),
}


def names(folder, prefix=""):
    """The dotted names of the modules of a folder, or with the prefix test_ those that its test files mirror."""
    for path in sorted(folder.rglob(f"{prefix}*.py")):
        if not path.stem.startswith("__"):
            yield ".".join([*path.relative_to(folder).parent.parts, path.stem.removeprefix(prefix)])


def complaints(modules, tested, without):
    """What is wrong with the mirror: modules without a test file or a reason, and reasons without need."""
    modules, tested = set(modules), set(tested)
    for name in sorted(modules - tested - set(without)):
        *rooms, module = name.split(".")
        yield f"{name} has no {'/'.join(['tests', *rooms, f'test_{module}.py'])}, and no reason in WITHOUT"
    yield from (f"{name} stands in WITHOUT and has a test file" for name in sorted(tested & set(without)))
    yield from (f"{name} stands in WITHOUT and is no module" for name in sorted(set(without) - modules))
    yield from (f"{name} stands in WITHOUT without a reason" for name, reason in without.items() if not reason.strip())


def test_every_module_has_its_test_file_or_a_reason():
    assert list(complaints(names(PACKAGE), names(TESTS, "test_"), WITHOUT)) == []


def test_the_files_that_reasons_name_exist():
    named = [word.rstrip(",") for reason in WITHOUT.values() for word in reason.split() if word.startswith("tests/")]
    assert named and [name for name in named if not (TESTS.parent / name).is_file()] == []


@pytest.mark.parametrize(
    ("modules", "tested", "without", "message"),
    [
        (["law"], [], {}, "law has no tests/test_law.py, and no reason in WITHOUT"),
        (["store.rows"], ["rows"], {}, "store.rows has no tests/store/test_rows.py, and no reason in WITHOUT"),
        (
            ["store.rows"],
            ["store.rows"],
            {"store.rows": "names only"},
            "store.rows stands in WITHOUT and has a test file",
        ),
        ([], [], {"store.rows": "names only"}, "store.rows stands in WITHOUT and is no module"),
        (["store.rows"], [], {"store.rows": " "}, "store.rows stands in WITHOUT without a reason"),
    ],
)
def test_a_broken_mirror_is_seen(modules, tested, without, message):
    """Negative control."""
    assert list(complaints(modules, tested, without)) == [message]


def test_a_whole_mirror_is_not():
    assert not list(complaints(["law", "store.rows"], ["law", "claims"], {"store.rows": "names only"}))
    assert "store.folder" in names(PACKAGE) and "store.folder" in names(TESTS, "test_")
