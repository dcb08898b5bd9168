"""The notebooks of analysis/ are executed, cell by cell, at a small size; what a cell shows is printed."""

import ast
from pathlib import Path

import jupytext
import pytest
from matplotlib import pyplot as plt

NOTEBOOKS = sorted((Path(__file__).parents[1] / "analysis").glob("*.py"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FEATLEARN_SEEDS", "3")
    monkeypatch.setenv("FEATLEARN_RESULTS", str(tmp_path))
    monkeypatch.chdir(path.parent)
    cells = [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    names = {"__name__": path.stem}
    for number, cell in enumerate(cells):
        tree = ast.Interactive(ast.parse(cell.source).body)
        exec(compile(tree, f"{path.name}, cell {number}", "single"), names)
    plt.close("all")
    assert cells and capsys.readouterr().out
