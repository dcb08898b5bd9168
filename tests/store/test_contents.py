"""Parts and plans as they were written; what is neither is refused (every kind of it: tests/store/test_folder.py)."""

import numpy as np
from stores import filled, trajectory

from featlearn.store import Store
from featlearn.store.contents import order_of, read_part, read_plan
from featlearn.store.listing import entries


def test_a_part_is_read_in_some_columns_and_rows(tmp_path):
    store = filled(tmp_path / "s", [trajectory(seed) for seed in range(4)])
    [entry], _ = entries(store.path, "parts")
    part = read_part(entry, lambda schema: ["seed", "train_loss", "no"], rows=np.array([1, 3]), nullable=True)
    assert part.table["seed"].to_pylist() == [1, 3] and part.table.num_columns == 2
    assert part.table["train_loss"].to_pylist()[1] == trajectory(3).values["train_loss"].tolist()
    assert {"train.stop_at_train_loss"} <= part.nullable and "seed" not in part.nullable
    assert (part.committed == entry.order).all() and "status" in part.schema.names


def test_a_plan_is_read_with_its_numbers_as_given(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    store.add_plan(["b", "a"], '{"x": 1}', {"data.snr": [0.5, None]})
    [entry], _ = entries(store.path, "plans")
    plan = read_plan(entry)
    assert (plan.run_ids.to_pylist(), plan.config, plan.began) == (["b", "a"], '{"x": 1}', entry.order)
    assert plan.given["data.snr"][0] == 0.5 and np.isnan(plan.given["data.snr"][1])


def test_a_plan_of_an_older_version_has_its_order_inside(tmp_path):
    store = filled(tmp_path / "s", [trajectory(0)])
    [entry], _ = entries(store.path, "plans")
    entry.path.rename(entry.path.with_name(f"{entry.hash}.parquet"))
    [old], _ = entries(store.path, "plans")
    assert old.order is None and order_of(old) == entry.order == read_plan(old).began
    store.add_plan([trajectory(0).run.run_id], "{}")  # the same sweep begins again
    [new], _ = entries(store.path, "plans")
    assert new.order > entry.order
