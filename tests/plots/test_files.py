"""Files: the same bytes for the same figure, and the numbers beside it."""

import pandas as pd
import pytest

from featlearn.plots import phase_figure, save


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_bytes_are_stable_and_the_table_lies_beside(rows, tmp_path, suffix):
    files = [save(*phase_figure(rows), tmp_path / name / f"phase{suffix}") for name in ("a", "b")]
    (one, table), (two, _) = files
    assert one.read_bytes() == two.read_bytes() != b""
    beside = pd.read_csv(table)
    assert table.name == "phase.csv"
    assert beside["mean"].tolist() == pytest.approx(phase_figure(rows)[1]["mean"].tolist())


def test_another_figure_has_other_bytes(rows, tmp_path):
    one, _ = save(*phase_figure(rows), tmp_path / "one.png")
    two, _ = save(*phase_figure(rows[rows["seed"] > 0]), tmp_path / "two.png")
    assert one.read_bytes() != two.read_bytes()


@pytest.mark.parametrize("name", ["phase.jpg", "phase"])
def test_another_suffix_is_refused_before_anything_is_written(rows, tmp_path, name):
    with pytest.raises(ValueError, match=r"a figure is a \.png, \.pdf or \.svg file"):
        save(*phase_figure(rows), tmp_path / "new" / name)
    assert not list(tmp_path.iterdir())
