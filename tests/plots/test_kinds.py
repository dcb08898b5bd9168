"""Every kind of figure is drawn from the rows of a store, by its options."""

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from featlearn import plots
from featlearn.plots import KINDS, save


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_a_file_from_the_rows_of_a_store(make_rows, tmp_path, kind):
    cells = {"dynamics": ((5.0,), (1000,)), "edge": ((5.0,), (1000,)), "curve": ((4.0, 6.0), (1000,))}
    df = make_rows(*cells.get(kind, ()))
    df = df.assign(sharpness=1.0, stability_edge=2.0, sam_edge=1.0)
    figure, table = KINDS[kind](df, {"optimizer": None, "where": None})
    assert len(table) > 0
    assert all(path.exists() for path in save(figure, table, tmp_path / f"{kind}.png"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_refuses_an_unknown_option(rows, kind):
    with pytest.raises(ValueError, match="no option 'colour'; it has"):
        KINDS[kind](rows, {"colour": "red"})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_sheet_and_takes_tables_of_any_kind(make_rows, kind):
    cells = {"dynamics": ((5.0,), (1000,)), "edge": ((5.0,), (1000,)), "curve": ((4.0, 6.0), (1000,))}
    df = make_rows(*cells.get(kind, ())).assign(sharpness=1.0, stability_edge=2.0, sam_edge=1.0)
    sheet = {"title": "A title", "size": (7.0, 5.0), "caption": False}
    figure, table = KINDS[kind](df.convert_dtypes(dtype_backend="pyarrow"), sheet)
    assert figure.get_suptitle() == "A title" and figure.get_size_inches().tolist() == [7, 5]
    assert figure.get_supxlabel() == ""
    pd.testing.assert_frame_equal(table, KINDS[kind](df, {})[1], check_dtype=False)
    _, ax = plt.subplots()
    call = getattr(plots, {"phase": "phase_diagram"}.get(kind, kind))
    axes = {"phase": ("data.signal_norm", "data.dim")}
    with pytest.raises(ValueError, match="title are of a figure of its own: not with ax"):
        call(df, *axes.get(kind.replace("difference", "phase"), ()), ax=ax, title="mine")


def test_what_was_kept_is_said_and_lies_in_the_table(rows):
    where = {"data.dim": [1000], "optimizer.name": ["sgd", "sam"]}
    figure, table = KINDS["curve"](rows, {"where": where, "x": "data.signal_norm"})
    assert figure.get_supxlabel().startswith("Only $d$ = 1000; name = sgd, sam.")
    assert (table["data.dim"] == 1000).all() and set(table["optimizer.name"]) == {"sgd, sam"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_refuses_a_table_without_rows(make_rows, kind):
    df = make_rows().assign(sharpness=1.0, stability_edge=2.0, sam_edge=1.0).head(0)
    axes = {"phase": ("data.signal_norm", "data.dim"), "difference": ("data.signal_norm", "data.dim")}
    with pytest.raises(ValueError, match="the table has no rows"):
        getattr(plots, {"phase": "phase_diagram"}.get(kind, kind))(df, *axes.get(kind, ()))
