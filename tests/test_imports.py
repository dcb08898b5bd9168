"""The modules of its package that a module reaches by its import statements."""

import importlib
import sys
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

from featlearn.imports import reachable_modules

TEXTS = {
    "__init__": "from lab_reached import names\n",
    "names": "",
    "rules": "import json\nimport lab_other\nfrom .tools import scale\nfrom lab_reached.deep import *\n\n\n"
    "def f():\n    from lab_reached.late import x\n    from . import later, CONSTANT\n    from ... import nothing\n",
    "tools": "import lab_reached.sub.leaf as leaf\n",
    "sub/__init__": "",
    "sub/leaf": "from ..side import y\n",
    "side": "",
    "deep": "from lab_reached import rules, fast\n",
    "late": "def broken(:\n",
    "later": "",
    "unused": "",
}
REACHED = ["", ".deep", ".fast", ".late", ".later", ".names", ".side", ".sub", ".sub.leaf", ".tools"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "lab_reached"
    for name, text in TEXTS.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (folder / f"fast{EXTENSION_SUFFIXES[0]}").write_bytes(b"compiled")
    (tmp_path / "lab_other.py").write_text("")
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.startswith("lab_reached")]:
        del sys.modules[name]


def test_a_module_and_all_that_it_reaches_in_order(package):
    """Also in a circle, in functions, through packages; a text that Python cannot read is a text."""
    found = reachable_modules("lab_reached.rules")
    assert list(found) == ["lab_reached.rules", *(f"lab_reached{name}" for name in REACHED)]
    assert found["lab_reached.rules"].text == TEXTS["rules"] and found["lab_reached.late"].text == TEXTS["late"]
    assert found["lab_reached.tools"].path == str(package / "tools.py")


def test_other_imports_change_nothing(package):
    before = reachable_modules("lab_reached.rules")
    importlib.import_module("lab_reached.unused")
    importlib.import_module("lab_reached.side")
    assert list(reachable_modules("lab_reached.rules").items()) == list(before.items())


def test_a_compiled_module_counts_by_its_bytes(package):
    before = reachable_modules("lab_reached.deep")["lab_reached.fast"].text
    assert before.startswith("# compiled, sha256 ")
    (package / f"fast{EXTENSION_SUFFIXES[0]}").write_bytes(b"compiled anew")
    assert reachable_modules("lab_reached.deep")["lab_reached.fast"].text != before


def test_a_module_that_is_not_there_reaches_nothing(package):
    assert (
        reachable_modules("lab_reached.missing")
        == reachable_modules("lab_nowhere")
        == reachable_modules("lab_reached.rules.f")
        == {}
    )
    assert list(reachable_modules("lab_other")) == ["lab_other"]
