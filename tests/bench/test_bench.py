"""A whole report at a tiny size: numbers positive, JSON valid, text and figure from it; the command."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from featlearn.bench import SECTIONS, Setting, run_benchmarks
from featlearn.bench.figures import cost_figure, draw
from featlearn.bench.sizes import block_size
from featlearn.bench.text import report_text
from featlearn.cli import app

TINY = Setting(
    repeats=1,
    n_steps=10,
    against=(60, 80),
    dims=(100, 10**12),
    n_samples=(4, 8),
    n_filters=(2, 3),
    blocks=(2, 4),
    million=1,
    paths=3,
)


@pytest.fixture(scope="module")
def report():
    with block_size(2, "cpu"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("featlearn.bench.sizes.with_peak", in_this_process)
        patch.setattr("featlearn.bench.arithmetic.LARGE", {"cpu": 16})
        return run_benchmarks(TINY)


def in_this_process(call, *args, device):
    """Separate processes are tested in test_measure.py; here they would only take time."""
    return call(*args), {"peak": 2**20, "growth": 2**19}


def numbers(tree):
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        return [number for branch in tree for number in numbers(branch)]
    return [tree] if isinstance(tree, int | float) and not isinstance(tree, bool) else []


def test_every_section_is_there_and_its_numbers_are_positive(report):
    assert report.keys() == {"machine", "setting", *SECTIONS}
    for name in SECTIONS:
        found = numbers(report[name])
        if name == "compare":
            found = [number for number in found if number]  # a row without test errors has 0
        if name != "limit":  # a difference of times so short may have any sign
            assert found and all(number > 0 for number in found), name


def test_it_survives_json(report):
    back = json.loads(json.dumps(report, allow_nan=False))
    assert report_text(back) == report_text(report)
    assert [row["dim"] for row in back["dim"]] == [100, 10**12]


def test_ratios_follow_from_the_times(report):
    for row in report["compare"]:
        expected = row["explicit_seconds"]["median"] / row["gram_seconds"]["median"]
        assert row["ratio"]["median"] == pytest.approx(expected)
        assert row["ratio_one_thread"]["median"] >= row["ratio"]["median"]
        assert row["explicit_seconds"]["median"] == min(row["explicit_seconds_by_threads"].values())
    assert {(row["rule"], row["dim"]) for row in report["compare"]} == {
        (r, d) for r in ("sgd", "sam") for d in (60, 80)
    }
    for row in report["limit"]:
        assert row["limit_seconds"]["median"] == pytest.approx(row["flops"] / row["small_product_rate"])


def test_fewer_than_a_million_are_called_an_extrapolation(report):
    assert report["million"]["extrapolated"]
    assert report["million"]["n_runs"] == 2
    assert "extrapolated to a million" in report_text(report)
    assert "No CUDA device was measured." in report_text(report)


def test_the_figure_shows_every_size_and_the_explicit_loop(report, tmp_path):
    figure = cost_figure(report)
    assert [len(ax.containers) for ax in figure.axes] == [2, 1, 1, 1]
    (path,) = draw(report, tmp_path)
    assert path.stat().st_size > 10_000


# the command


def test_the_command_measures_the_requested_sections(tmp_path, monkeypatch):
    monkeypatch.setattr(Setting, "on", classmethod(lambda cls, device, quick: TINY))
    result = CliRunner().invoke(app, ["bench", "--only", "dim", "--json", str(tmp_path / "new" / "b.json")])
    assert result.exit_code == 0 and "Cost against d" in result.stdout and "Peak memory" not in result.stdout
    assert json.loads((tmp_path / "new" / "b.json").read_text())["dim"]


def test_unknown_sections_are_refused():
    result = CliRunner().invoke(app, ["bench", "--quick", "--only", "speed"])
    assert result.exit_code == 2 and "no section speed; there are compare" in result.stderr
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        Setting.on("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_cuda_is_refused_in_a_sentence():
    result = CliRunner().invoke(app, ["bench", "--device", "cuda"])
    assert result.exit_code == 2 and "torch finds no CUDA device" in result.stderr


def test_it_runs_where_torch_numba_and_scipy_are_all_there_is(tmp_path):
    code = """
import sys
from dataclasses import replace
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in "pydantic typer pandas pyarrow joblib matplotlib seaborn yaml rich".split():
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
sys.meta_path.insert(0, Block())
from dataclasses import replace
import featlearn.bench.__main__ as command
from featlearn.bench import Setting
on = Setting.on
Setting.on = lambda device, quick: replace(on(device, quick=quick), n_steps=2, repeats=1)
command.main()
"""
    words = ["--quick", "--device", "cpu", "--only", "dim", "--only", "limit", "--json", str(tmp_path / "b.json")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "step / limit" in done.stdout and json.loads((tmp_path / "b.json").read_text())["limit"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_every_section_runs_on_cuda():
    with block_size(2, "cpu"):
        report = run_benchmarks(replace(TINY, device="cuda"))
    assert report["million"]["peak"] > 0
