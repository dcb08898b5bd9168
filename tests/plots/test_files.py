"""Files: the same bytes for the same figure, and a table with its numbers."""

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from featlearn.plots import phase_figure, save


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_bytes_are_stable_and_the_table_lies_beside(rows, tmp_path, suffix):
    drawn = {name: phase_figure(rows) for name in ("a", "b")}
    files = [save(*drawn[name], tmp_path / name / f"phase{suffix}") for name in drawn]
    (one, table), (two, _) = files
    assert one.read_bytes() == two.read_bytes() != b""
    beside = pd.read_csv(table)
    assert table.name == "phase.csv"
    assert beside["mean"].tolist() == pytest.approx(drawn["a"][1]["mean"].tolist())


def test_files_do_not_depend_on_the_callers_settings(rows, tmp_path):
    plain, _ = save(*phase_figure(rows), tmp_path / "plain.png")
    theirs = {"text.usetex": True, "savefig.bbox": "tight", "savefig.format": "svg", "savefig.facecolor": "red"}
    with mpl.rc_context({**theirs, "axes.facecolor": "blue", "figure.autolayout": True}):
        other, _ = save(*phase_figure(rows), tmp_path / "other.png")
    assert plain.read_bytes() == other.read_bytes()


def test_dots_of_an_inch(rows, tmp_path):
    small, large = (save(*phase_figure(rows), tmp_path / f"{dpi}.png", dpi=dpi)[0] for dpi in (50, 100))
    assert plt.imread(large).shape[1] == pytest.approx(2 * plt.imread(small).shape[1], abs=2)
    with pytest.raises(ValueError, match="dpi are dots in an inch, above zero, not 0"):
        save(*phase_figure(rows), tmp_path / "none.png", dpi=0)
    assert not (tmp_path / "none.png").exists()


def test_another_figure_has_other_bytes(rows, tmp_path):
    one, _ = save(*phase_figure(rows), tmp_path / "one.png")
    two, _ = save(*phase_figure(rows[rows["seed"] > 0]), tmp_path / "two.png")
    assert one.read_bytes() != two.read_bytes()


@pytest.mark.parametrize("name", ["phase.jpg", "phase"])
def test_another_suffix_is_refused_before_anything_is_written(rows, tmp_path, name):
    with pytest.raises(ValueError, match=r"a figure is a \.png, \.pdf or \.svg file"):
        save(*phase_figure(rows), tmp_path / "new" / name)
    assert not list(tmp_path.iterdir())
