"""Other libraries take over a store's Arrow table without a copy of its numbers."""

import pytest
from stores import filled, trajectory

from featlearn.store import load_arrow


@pytest.fixture
def runs(tmp_path):
    filled(tmp_path / "s", [trajectory(seed, columns=("a",)) for seed in range(3)])
    return load_arrow(tmp_path / "s")


def test_polars_shares_the_numbers(runs):
    polars = pytest.importorskip("polars")
    frame = polars.from_arrow(runs)
    assert frame.columns == runs.column_names and frame["a"].to_list() == runs["a"].to_pylist()
    assert frame["step"].to_arrow().buffers()[1].address == runs["step"].chunk(0).buffers()[1].address


def test_duckdb_reads_the_table_where_it_is(runs):
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql("select seed, count(*) as n from runs group by seed order by seed").fetchall()
    expected = runs.group_by("seed").aggregate([("step", "count")]).sort_by("seed")
    assert [n for _, n in found] == expected["step_count"].to_pylist() and len(found) == 3
