"""A section: one store in words and numbers."""

import json

from small_report import EVIL, trajectory

from featlearn.reports.sections import section
from featlearn.reports.sources import read
from featlearn.store import Store, failed_rows


def test_the_numbers_are_json_and_complete(source):
    part = section(source, 1)
    json.dumps(part.data, allow_nan=False)
    assert [axis["key"] for axis in part.data["axes"]] == ["data.signal_norm", "data.dim"]
    assert part.data["optimizers"] == ["SGD", "SAM"] and [m["key"] for m in part.data["moments"]] == ["last", "loss"]
    grid = part.data["grids"]["last"]["test_error"]
    assert [len(grid[key]) for key in ("means", "differences", "boundaries")] == [2, 1, 2]
    assert part.config_file == "configs/small.yaml" and part.one_run in {*source.last["run_id"]}


def test_a_store_of_failures_alone_has_words_only(tmp_path):
    store, run = Store.create(tmp_path / "s", "test"), trajectory("sgd", 1.0, 60, 0).run
    store.add_plan([run.run_id], "{}")
    store.add_part(failed_rows([run], EVIL), {})
    part = section(read(tmp_path / "s"), 1)
    assert part.data is None and part.source.failures == {EVIL: 1} and part.source.name == "s"
