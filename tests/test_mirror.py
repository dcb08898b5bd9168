"""tests/ mirrors featlearn/: the module a/b.py has the test file a/test_b.py, or is listed in WITHOUT with the reason:
the files that test it through the modules that use it.

The names of a package (__init__.py, __main__.py) are tested with its modules.
"""

from pathlib import Path

import pytest

import featlearn

PACKAGE, TESTS = Path(featlearn.__file__).parent, Path(__file__).parent
BUNDLED = "every data set of scikit-learn: tests/data/test_bundled.py"
LANDSCAPES = "every landscape: tests/models/test_landscapes.py"
SECTIONS = "every section of a report: tests/bench/test_bench.py"
ROWS = "records and run status: tests/test_simulation.py tests/loop/test_loop.py"
STEPS = "every step of a loop: tests/loop/test_loop.py tests/loop/test_replay.py tests/loop/test_graphs.py"
ENGINES = "every case: tests/engines/test_agreement.py tests/engines/test_contract.py tests/engines/span/test_engine.py"
HESSIAN = "every route to the Hessian: tests/engines/test_curvature.py tests/engines/test_lanczos.py"
COMPILED = "against the plain twin: tests/engines/cpu/test_engine.py tests/engines/cpu/test_packed.py"
KERNEL = "every kernel: tests/engines/gpu/test_engine.py"
AVERAGED = "against their equations: tests/optim/test_averaged.py"
TWO_GRADIENTS = "against their equations: tests/optim/test_two_gradients.py"
COMPONENTS = "against their equations: tests/optim/test_components.py"
OF_TORCH = "against torch: tests/optim/test_torch_rule.py"
PASSES = "every rule as torch's optimizer: tests/optim/torch/test_by_hand.py tests/optim/torch/test_rules.py"
MOMENTS = "one step against the rule: tests/sde/test_limit.py tests/sde/test_systems.py"
COMMANDS = "every command: tests/test_cli.py"
PAGE = "every request: tests/explore/test_app.py"
WITHOUT = {
    "bench.compare": SECTIONS,
    "bench.curvature": SECTIONS,
    "bench.figures": SECTIONS,
    "bench.machine": SECTIONS,
    "bench.plain_sde": "beside sde/ and closed forms: tests/bench/test_sde.py",
    "sweeps.gate": "on a scheduler and workers: tests/sweeps/test_cluster.py",
    "sweeps.remote": "on a scheduler and workers: tests/sweeps/test_cluster.py tests/sweeps/test_commits.py",
    "cli.measuring": "the command: tests/bench/test_bench.py",
    "cli.reading": COMMANDS,
    "cli.running": COMMANDS,
    "cli.storing": COMMANDS,
    "data.breast_cancer": BUNDLED,
    "data.iris": BUNDLED,
    "data.none": "draws nothing; trained on by tests/models/test_quadratic.py tests/models/test_saddle.py",
    "data.signal_patches": "of its models: tests/data/test_one_signal.py tests/data/test_spurious.py",
    "engines.cpu.curvature": HESSIAN,
    "engines.cpu.hessian": HESSIAN,
    "engines.cpu.lanczos": HESSIAN,
    "engines.cpu.operators": HESSIAN,
    "engines.cpu.loops": COMPILED,
    "engines.cpu.network": COMPILED,
    "engines.cpu.shard_loops": "against the plain twin: tests/engines/cpu/test_shards.py",
    "engines.explicit.autograd": ENGINES,
    "engines.explicit.curvature": HESSIAN,
    "engines.explicit.engine": ENGINES,
    "engines.gpu.kernels": KERNEL,
    "engines.gpu.source": KERNEL,
    "engines.protocol": "types, and views: tests/trackers/test_contract.py tests/trackers/test_sharpness.py",
    "engines.random_direction": "every law: tests/optim/test_random_perturbation.py tests/optim/torch/test_by_hand.py",
    "engines.span.curvature": HESSIAN,
    "engines.tape": "recorded and replayed: tests/loop/test_tapes.py tests/loop/test_replay.py",
    "explore.answers": PAGE,
    "loop.next_step": "radii, rates and probes: tests/trackers/test_edges.py tests/trackers/test_sharpness.py",
    "loop.observer": ROWS,
    "loop.state": ROWS,
    "loop.stepper": STEPS,
    "models.landscape": LANDSCAPES,
    "models.product": LANDSCAPES,
    "models.valley": LANDSCAPES,
    "optim.adam": OF_TORCH,
    "optim.answers": "answers of trackers and rules: tests/loop/test_columns.py tests/test_custom.py",
    "optim.component_sam": COMPONENTS,
    "optim.dnsam": COMPONENTS,
    "optim.ema_sam": AVERAGED,
    "optim.fsam": AVERAGED,
    "optim.gsam": TWO_GRADIENTS,
    "optim.looksam": TWO_GRADIENTS,
    "optim.nsam": COMPONENTS,
    "optim.signsgd": "by hand: tests/optim/test_torch_rule.py",
    "optim.torch.base": PASSES,
    "optim.torch.memory": "kept, copied, carried: tests/optim/torch/test_state.py tests/optim/torch/test_groups.py",
    "optim.torch.objective": PASSES,
    "optim.torch.optimizer": PASSES,
    "optim.torch.options": "options of groups: tests/optim/torch/test_refusals.py tests/optim/torch/test_loops.py",
    "optim.torch.passes": "statistics of a pass: tests/optim/torch/test_statistics.py",
    "optim.torch.plain": "tensors of all kinds: tests/optim/torch/test_complex.py tests/optim/torch/test_ddp.py",
    "optim.torch.space": "tensors of all kinds: tests/optim/torch/test_odd_parameters.py tests/optim/torch/test_ddp.py",
    "optim.torch_optim": OF_TORCH,
    "optim.vasso": AVERAGED,
    "optim.wrapper": "every wrapper: tests/optim/test_perturbed.py tests/optim/test_contract.py",
    "optim.wsam": TWO_GRADIENTS,
    "sde.dnsam": MOMENTS,
    "sde.micro_batches": MOMENTS,
    "sde.n_sam": MOMENTS,
    "sde.sam": MOMENTS,
    "sde.sgd": MOMENTS,
    "sde.signsgd": MOMENTS,
    "sde.usam": MOMENTS,
    "store.single": "found and computed again: tests/test_reruns.py",
    "streams.loops": "bit by bit against plain torch: tests/streams/test_lanes.py",
    "tables.resamples": "intervals of boundaries: tests/tables/test_scaling.py",
    "trackers.integral_loops": "against the plain twin: tests/trackers/test_population_error.py",
}


def names(folder, prefix=""):
    """The dotted names of the modules of a folder, or with the prefix test_ those that its test files mirror."""
    for path in sorted(folder.rglob(f"{prefix}*.py")):
        if not path.stem.startswith("__"):
            yield ".".join([*path.relative_to(folder).parent.parts, path.stem.removeprefix(prefix)])


def complaints(modules, tested, without):
    """Errors of the mirror: modules without a test file or a reason, and reasons without need."""
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
def test_a_broken_mirror_is_detected(modules, tested, without, message):
    """Negative control."""
    assert list(complaints(modules, tested, without)) == [message]


def test_a_whole_mirror_is_not():
    assert not list(complaints(["law", "store.rows"], ["law", "claims"], {"store.rows": "names only"}))
    assert "store.folder" in names(PACKAGE) and "store.folder" in names(TESTS, "test_")
