"""The parts of an optimizer know a protocol, not each other's whole: their imports form no circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import featlearn.optim.torch as room

SOURCES = {path.stem: path.read_text() for path in Path(room.__file__).parent.glob("*.py")}


def imported(source):
    """The modules of the room that a source imports, those for types only among them."""
    targets = [node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    return {name.rpartition(".")[2] for name in targets if name.startswith(f"{room.__name__}.")}


def test_no_circle_even_of_types():
    order = list(TopologicalSorter({name: imported(source) for name, source in SOURCES.items()}).static_order())
    assert order.index("protocol") < order.index("space") < order.index("optimizer")


def test_a_circle_is_seen():
    """Negative control."""
    back = SOURCES | {"space": f"if TYPE_CHECKING:\n    from {room.__name__}.optimizer import RuleOptimizer"}
    with pytest.raises(CycleError):
        list(TopologicalSorter({name: imported(source) for name, source in back.items()}).static_order())
