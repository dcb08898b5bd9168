"""Every kind of figure is drawn from the rows of a store, by its options."""

import pytest

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
