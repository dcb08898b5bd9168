"""Files: the same bytes for the same figure, and a table with its numbers."""

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from featlearn.plots import phase_figure, save


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_bytes_are_stable_and_the_table_is_next_to_the_figure(rows, tmp_path, suffix):
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


def test_a_table_is_overwritten_beside_a_figure_of_another_suffix(rows, tmp_path):
    drawn = phase_figure(rows)
    for name in ("MINE.PDF", "MINE.PDF", "mine.png", "mine.pdf"):
        save(*drawn, tmp_path / name)
    (tmp_path / "yours.csv").write_text("my own numbers")
    (tmp_path / "yours.svg").write_text("a drawing")
    with pytest.raises(ValueError, match=r"yours\.csv exists, and is no table"):
        save(*drawn, tmp_path / "yours.png")


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_figure_replaces_an_earlier_figure_and_nothing_else(rows, tmp_path, suffix):
    drawn, path, beside = phase_figure(rows), tmp_path / f"mine{suffix}", tmp_path / "mine.csv"
    beside.write_text("my own numbers")
    with pytest.raises(ValueError, match=r"mine\.csv exists, and is no table"):
        save(*drawn, path)
    assert not path.exists() and beside.read_text() == "my own numbers"
    beside.unlink()
    save(*drawn, path)
    save(*drawn, path)  # again: both are ours
    path.write_bytes(b"a photograph")
    with pytest.raises(ValueError, match=f"mine{suffix} exists, and is no figure"):
        save(*drawn, path)
    assert path.read_bytes() == b"a photograph"
    target = tmp_path / "target"
    target.write_bytes(b"behind a link")
    path.unlink()
    path.symlink_to(target)
    with pytest.raises(ValueError, match="is a link"):
        save(*drawn, path)
    save(*drawn, path, force=True)
    assert target.read_bytes() == b"behind a link" and not path.is_symlink()
