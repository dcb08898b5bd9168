"""The parts of an optimizer import a protocol, not each other: their imports form no cycle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import featlearn.optim.torch as package

SOURCES = {path.stem: path.read_text() for path in Path(package.__file__).parent.glob("*.py")}


def imported(source):
    """The modules of the package that a source imports, also those for types only."""
    targets = [node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    return {name.rpartition(".")[2] for name in targets if name.startswith(f"{package.__name__}.")}


def test_no_circle_even_of_types():
    order = list(TopologicalSorter({name: imported(source) for name, source in SOURCES.items()}).static_order())
    assert order.index("protocol") < order.index("space") < order.index("optimizer")


def test_a_circle_is_seen():
    """Negative control."""
    back = SOURCES | {"space": f"if TYPE_CHECKING:\n    from {package.__name__}.optimizer import RuleOptimizer"}
    with pytest.raises(CycleError):
        list(TopologicalSorter({name: imported(source) for name, source in back.items()}).static_order())
