"""The notebooks of analysis/ are executed, at a small size."""

from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "analysis").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATLEARN_SEEDS", "3")
    monkeypatch.setenv("FEATLEARN_RESULTS", str(tmp_path))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # the kernel's own; the project's are errors in its tests
    notebook = jupytext.read(path)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert any(cell.get("outputs") for cell in notebook.cells)
