"""The floors of the house: imports point down only, read from the sources with ast.

A room is a module or a package right below featlearn, or one within a room that FLOORS lists on a higher floor.
A new one needs a line in FLOORS.
"""

import ast
import subprocess
import sys
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import featlearn

ROOT = Path(featlearn.__file__).parent

FLOORS = [
    {"types", "streams", "environment", "theory", "imports", "tiles", "lookup", "devices", "pace", "outputs"},
    {"escapes", "linalg"},
    {"custom", "independence"},
    {"provenance"},
    {"functions"},
    {"data", "models"},
    {"geometry"},
    {"law"},
    {"engines", "optim"},
    {"trackers", "optim.torch", "sde"},
    {"runs"},
    {"loop"},
    {"config", "simulation"},
    {"calls"},
    {"export", "store"},
    {"sweeps", "estimate", "reruns"},
    {"tables"},
    {"plots"},
    {"reports"},
    {"explore"},
    {"texts"},
    {"bench"},
    {"cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# Who may see what, where that is less than everything below. A type is an import under TYPE_CHECKING.
SEES = {
    "types": set(),
    "streams": set(),
    "theory": set(),  # or theory against simulation would be no test
    "data": {"types", "streams"},
    "models": {"types", "streams", "functions"},
    "optim": {"types"},
    "optim.torch": {"types", "streams", "engines", "optim"},  # it puts a module's parameters in the place of an engine
    "trackers": {
        "types",
        "streams",
        "functions",
        "tiles",
        "linalg",
        "theory",
    },  # theory, next to results
    "store": {"types", "lookup", "escapes"},  # it knows rows, not runs
    "tables": {"theory", "types", "lookup"},
    "plots": {"theory", "types", "tables", "lookup", "outputs"},
}
SEES_TYPES_OF = {"optim": {"engines"}, "sde": {"engines"}, "trackers": {"engines", "data"}, "store": {"runs"}}
NO_TORCH = ["theory", "tables", "store", "plots", "reports"]
PLOTTING = ["matplotlib", "seaborn"]
FOREIGN = [*PLOTTING, "pydantic", "pandas", "scipy", "yaml", "typer", "rich", "joblib", "pyarrow", "numba", "triton"]


@dataclass(frozen=True)
class Import:
    """``target`` is imported by ``module``; for types only, if under TYPE_CHECKING."""

    module: str
    target: str
    for_types: bool


def imports(module, source):
    tree = ast.parse(source)
    for_types = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for_types |= {id(inner) for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write imports in full, not relative to the file"
            inside = node.module == "featlearn" or (node.module or "").startswith("featlearn.")
            targets = [f"{node.module}.{alias.name}" for alias in node.names] if inside else [node.module]
        else:
            continue
        yield from (Import(module, target, id(node) in for_types) for target in targets)


def modules():
    """Dotted name -> source of every module of the package; a package's name is that of its __init__."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["featlearn", *path.relative_to(ROOT).with_suffix("").parts]
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path.read_text()


SOURCES = dict(modules())
IMPORTS = [found for module, source in SOURCES.items() for found in imports(module, source)]


def room(module):
    """The second part of a dotted name of ours; "" for the package itself, None for what is not ours.

    The second and third for a room within a room.
    """
    parts = module.split(".")
    if parts[0] != "featlearn":
        return None
    if ".".join(parts[1:3]) in FLOOR:
        return ".".join(parts[1:3])
    if parts[1:] == ["__main__"]:
        return "cli"  # it only calls it
    return "" if len(parts) == 1 or parts[1].startswith("__") else parts[1]


def floor(name):
    assert name in FLOOR, f"featlearn/{name} has no floor yet: give it a floor in FLOORS, tests/test_house.py"
    return FLOOR[name]


def complaint(found):
    """What is wrong with an import, or None."""
    here, there = room(found.module), room(found.target)
    if there in (None, "") or here == there:
        return None
    text = f"{found.module} imports {found.target}"
    if here == "":
        return None if found.for_types else f"{text}: importing featlearn must cost nothing"
    if found.for_types and there in SEES_TYPES_OF.get(here, set()):
        return None
    if floor(there) >= floor(here):
        return f"{text}: up from floor {floor(here)} to {floor(there)}"
    if here in SEES and there not in SEES[here]:
        only = "types only of" if there in SEES_TYPES_OF.get(here, set()) else "nothing of"
        return f"{text}: {here} sees {only} {there}"
    return None


def test_every_room_has_a_floor():
    for module in SOURCES:
        if room(module):
            floor(room(module))


def test_imports_point_down():
    assert [text for text in map(complaint, IMPORTS) if text] == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("featlearn.data.x", "from featlearn.engines.span.engine import GramEngine"),
        ("featlearn.data.x", "import featlearn.functions.losses"),
        ("featlearn.types", "from featlearn import streams"),
        ("featlearn.theory.x", "from featlearn.types import Positive"),
        ("featlearn.optim.x", "from featlearn.engines.protocol import Vector"),
        ("featlearn.optim.x", "def f():\n    from featlearn.engines.protocol import Vector"),
        ("featlearn.optim.x", "from featlearn.optim.torch import SAM"),
        ("featlearn.optim.torch.x", "from featlearn.simulation import train"),
        ("featlearn.trackers.x", "from featlearn.engines.protocol import View"),
        ("featlearn.trackers.x", "if TYPE_CHECKING:\n    from featlearn.simulation import train"),
        ("featlearn.engines.x", "if TYPE_CHECKING:\n    from featlearn.optim import SGD"),
        ("featlearn.store.x", "from featlearn.runs import RunConfig"),
        ("featlearn.tables.x", "from featlearn.store import load"),
        ("featlearn.simulation", "from featlearn.config import load_config"),
        ("featlearn.runs", "from featlearn.simulation import simulate"),
        ("featlearn", "from featlearn.simulation import simulate"),
    ],
)
def test_an_import_upwards_is_detected(module, line):
    """Negative control."""
    assert [complaint(found) for found in imports(module, line) if complaint(found)]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("featlearn.optim.x", "if TYPE_CHECKING:\n    from featlearn.engines.protocol import Vector"),
        ("featlearn.optim.x", "from featlearn.optim.sgd import SGD"),
        ("featlearn.optim.torch.x", "from featlearn.engines.protocol import Vector"),
        ("featlearn.cli", "from featlearn import __version__, plots"),
        ("featlearn.simulation", "import torch, numpy.random"),
        ("featlearn.store.x", "if TYPE_CHECKING:\n    from featlearn.runs import RunConfig"),
    ],
)
def test_an_import_downwards_is_fine(module, line):
    assert not [complaint(found) for found in imports(module, line) if complaint(found)]


def test_a_new_room_must_be_given_a_floor():
    (found,) = imports("featlearn.attic.x", "from featlearn.types import Positive")
    with pytest.raises(AssertionError, match=r"featlearn/attic has no floor yet: give it a floor"):
        complaint(found)


def test_the_engines_share_no_gradient_code():
    """Otherwise their agreement proves nothing: the explicit engine imports no derivative, directly or not."""
    oracle = "featlearn.engines.explicit.engine"
    known = {found.target for found in IMPORTS if found.module == oracle and room(found.target)}
    forbidden = tuple(f"featlearn.{room}" for room in ("engines.span", "engines.cpu", "engines.gpu", "optim"))
    assert known and not [target for target in known if target.startswith(forbidden)]
    assert "slope" not in SOURCES[oracle]
    others = [found for found in IMPORTS if room(found.module) == "engines" and found.target.startswith(oracle)]
    assert not others
    assert "autograd" in SOURCES[oracle] and "autograd" not in SOURCES["featlearn.engines.span.engine"]
    hessian = [found.target for found in IMPORTS if found.module == "featlearn.engines.explicit.curvature"]
    assert not [target for target in hessian if "span" in target or "patches" in target or "functions" in target]


def test_modules_do_not_import_each_other_in_a_circle():
    """Also not inside functions; types aside."""
    graph = {module: set() for module in SOURCES}
    for found in IMPORTS:
        home = found.target if found.target in SOURCES else found.target.rpartition(".")[0]
        if not found.for_types and home in SOURCES and home not in (found.module, "featlearn"):
            graph[found.module].add(home)
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_no_file_and_no_function_is_too_long():
    """At most 300 lines in a file and 60 in a function."""
    long = [module for module, source in SOURCES.items() if source.count("\n") > 300]
    for module, source in SOURCES.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 60:
                long.append(f"{module}.{node.name}")
    assert long == []


# what is loaded when a room is entered


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", NO_TORCH)
def test_no_source_of_these_rooms_imports_torch(name):
    inside = [found for found in IMPORTS if room(found.module) == name]
    assert not [found for found in inside if found.target.split(".")[0] == "torch"]


def test_reading_and_plotting_never_load_torch():
    rooms = ", ".join(
        f"featlearn.{name}" for name in [*NO_TORCH, "config", "cli"] if name in {room(m) for m in SOURCES}
    )
    code = f"import sys, {rooms}; print(*(m for m in ('torch', 'featlearn.engines.span.engine') if m in sys.modules))"
    assert run_python(code).split() == []


def test_importing_featlearn_loads_nothing_of_it():
    loaded = run_python("import sys, featlearn; print(*sys.modules)").split()
    assert not [name for name in loaded if name.startswith("featlearn.") or name in ("numpy", "torch", "pandas")]


BLOCK = f"""
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {FOREIGN!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)

sys.meta_path.insert(0, Block())
"""


def test_training_needs_torch_and_numpy_alone():
    """Data, networks, engines, rules, trackers and the loop run where nothing else is installed."""
    code = """
import featlearn.data, featlearn.geometry, featlearn.functions.activations, featlearn.functions.losses
import featlearn.engines.span.engine, featlearn.engines.explicit.engine, featlearn.optim, featlearn.trackers
from featlearn.data import SignalNoise
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import SAM, SGD
from featlearn.runs import Record, RunConfig, Train
from featlearn.simulation import simulate
from featlearn.trackers import Decomposition, Deactivation, Loss
for engine in ("gram", "weights"):
    run = RunConfig(
        name="bare", seed=0, engine=engine, sampling="vectors", dtype="float64",
        data=SignalNoise(n_samples=4, dim=20, signal_norm=2.0), network=TwoLayerCNN(n_filters=2),
        optimizer=SAM(rho=0.1, base=SGD(lr=0.1)), train=Train(n_steps=5, batch_size=4),
        record=Record(steps=(0, 5), trackers=(Loss(), Decomposition(), Deactivation())),
    )
    trajectory = simulate(run)
    print(run.run_id and f"{trajectory.values['train_loss'][-1]:.10f}")
"""
    gram, weights = run_python(BLOCK + code).split()
    assert gram == weights and 0 < float(gram) < 0.7


def test_the_block_blocks():
    """Negative control."""
    with pytest.raises(AssertionError, match="blocked: scipy"):
        run_python(BLOCK + "import scipy")
