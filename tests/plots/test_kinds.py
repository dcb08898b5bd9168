"""Every kind of figure is drawn from the rows of a store, by its options."""

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.text import Text

from featlearn import plots
from featlearn.plots import KINDS, save
from featlearn.plots.kinds import Option
from featlearn.plots.style import DARK


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_a_file_from_the_rows_of_a_store(rows_of, tmp_path, kind):
    figure, table = KINDS[kind](rows_of(kind), {"optimizer": None, "where": None})
    assert len(table) > 0
    assert all(path.exists() for path in save(figure, table, tmp_path / f"{kind}.png"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_refuses_an_unknown_option(rows, kind):
    with pytest.raises(ValueError, match="no option 'colour'; it has"):
        KINDS[kind](rows, {"colour": "red"})


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_is_described_in_the_docstring_of_the_figure(kind):
    options = KINDS[kind].options
    assert {"where", "title", "size", "caption"} <= {*options} and {"rows", "sheet", "kept"}.isdisjoint(options)
    assert ("step" in options) == ("at_train_loss" in options) == (not KINDS[kind].over_steps)
    assert [name for name, option in options.items() if not option.meaning.endswith(".")] == []
    first = KINDS[kind].summary.partition(". ")[0]
    assert first.startswith("Draw ") and len(first) < 64  # a line of `featlearn plot --help`


def test_options_are_read_from_annotations_defaults_and_docstring():
    options = KINDS["phase"].options
    assert options["value"] == Option(str, "test_error", "column that the colour shows.")
    assert options["level"].annotation == float | None and options["level"].default is None
    assert options["theory"].meaning.endswith("for the optimizer's own where it holds.")


def test_runs_are_read_at_a_step_or_at_a_train_loss(rows):
    at_step = KINDS["phase"](rows, {"step": 50})[1]
    assert at_step["mean"].min() > KINDS["phase"](rows, {})[1]["mean"].min()
    loss = rows.loc[rows["step"] == 50, "train_loss"].iloc[0]
    at_loss = KINDS["phase"](rows, {"at_train_loss": loss})[1]
    pd.testing.assert_series_equal(at_loss["mean"], at_step["mean"])
    with pytest.raises(ValueError, match="both choose where a run is read"):
        KINDS["phase"](rows, {"step": 50, "at_train_loss": 0.4})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_sheet_and_takes_tables_of_any_kind(rows_of, kind):
    df = rows_of(kind)
    sheet = {"title": "A title", "size": (7.0, 5.0), "caption": False}
    figure, table = KINDS[kind](df.convert_dtypes(dtype_backend="pyarrow"), sheet)
    assert figure.get_suptitle() == "A title" and figure.get_size_inches().tolist() == [7, 5]
    assert figure.get_supxlabel() == ""
    pd.testing.assert_frame_equal(table, KINDS[kind](df, {})[1], check_dtype=False)
    _, ax = plt.subplots()
    call = getattr(plots, {"phase": "phase_diagram"}.get(kind, kind))
    axes = {"phase": ("data.signal_norm", "data.dim")}
    with pytest.raises(ValueError, match="title: options of a figure of its own, not to be given with ax"):
        call(df, *axes.get(kind.replace("difference", "phase"), ()), ax=ax, title="mine")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_for_a_dark_page_and_a_narrow_column(rows_of, kind):
    figure, _ = KINDS[kind](rows_of(kind), {"dark": True, "size": (3.25, None)})
    assert to_hex(figure.get_facecolor()) == DARK.ground and figure.get_figwidth() == 3.25
    words = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert {to_hex(text.get_color()) for text in words} <= {DARK.ink, DARK.grey}
    assert min(text.get_fontsize() for text in words) >= 6


def test_kept_conditions_are_reported_and_in_the_table(rows):
    where = {"data.dim": [1000], "optimizer.name": ["sgd", "sam"]}
    figure, table = KINDS["curve"](rows, {"where": where, "x": "data.signal_norm"})
    assert figure.get_supxlabel().startswith("Only $d$ = 1000; name = sgd, sam.")
    assert (table["data.dim"] == 1000).all() and set(table["optimizer.name"]) == {"sgd, sam"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_refuses_a_table_without_rows(rows_of, kind):
    df = rows_of(kind).head(0)
    axes = {"phase": ("data.signal_norm", "data.dim"), "difference": ("data.signal_norm", "data.dim")}
    with pytest.raises(ValueError, match="the table has no rows"):
        getattr(plots, {"phase": "phase_diagram"}.get(kind, kind))(df, *axes.get(kind, ()))
