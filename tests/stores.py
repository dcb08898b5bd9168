"""Small stores for tests."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from helpers import make_run

from featlearn.runs import Trajectory
from featlearn.store import Store, rows


def trajectory(seed, *, end="ok", steps=(0, 10, 20), columns=("train_loss",), **changes):
    run = make_run(seed=seed, **changes)
    values = {name: np.sqrt(seed + np.array(steps, float)) for name in columns}
    return Trajectory(run, end, f"ended {end}", steps[-1], np.array(steps), values)


def filled(path, *parts):
    """A store with one part for each list of trajectories, all of them planned in this order."""
    store = Store.create(path, "test")
    store.add_plan([t.run.run_id for part in parts for t in part], "{}")
    for part in parts:
        store.add_part(rows(part), {})
    return store


def damaged(name):
    """A function that adds a damaged or foreign file to a store with parts and a plan, and returns its path."""

    def flip(path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 8
        path.write_bytes(content)
        return path

    def put(path, table):
        pq.write_table(table, path)
        return path

    def first(store, kind):
        return min(store.glob(f"{kind}/*.parquet"))

    def torn(store):
        path = first(store, "parts")
        path.write_bytes(path.read_bytes()[:200])
        return path

    def empty(store):
        (store / "parts" / "7-0123456789abcdef.parquet").write_bytes(b"")
        return store / "parts" / "7-0123456789abcdef.parquet"

    def folder(store):
        (store / "parts" / "7-01234567.parquet").mkdir()
        return store / "parts" / "7-01234567.parquet"

    def link(store):
        (store / "parts" / "7-01234567.parquet").symlink_to("nothing")
        return store / "parts" / "7-01234567.parquet"

    whole = pa.table({"run_id": ["a"], "status": ["ok"], "step": [[0]]}).replace_schema_metadata({"featlearn": "{}"})
    kinds = {
        "a flipped bit": lambda store: flip(first(store, "parts")),
        "a torn part": torn,
        "an empty file": empty,
        "a folder": folder,
        "a link to nothing": link,
        "a foreign name": lambda store: put(store / "parts" / "1a-a.parquet", whole),
        "a number too large": lambda store: put(store / "parts" / f"{10**19 - 1}-01234567.parquet", whole),
        "integer run ids": lambda store: put(
            store / "parts" / "7-01234567.parquet", whole.set_column(0, "run_id", pa.array([1]))
        ),
        "no run ids": lambda store: put(store / "parts" / "7-01234567.parquet", whole.drop_columns("run_id")),
        "a run without id": lambda store: put(
            store / "parts" / "7-01234567.parquet", whole.set_column(0, "run_id", pa.array([None], pa.string()))
        ),
        "steps as text": lambda store: put(
            store / "parts" / "7-01234567.parquet", whole.set_column(2, "step", pa.array(["0"]))
        ),
        "no footer": lambda store: put(
            store / "parts" / "7-01234567.parquet", whole.replace_schema_metadata({"other": "1"})
        ),
        "a plan without footer": lambda store: put(store / "plans" / "0123456789abcdef.parquet", pa.table({"a": [1]})),
        "a part as a plan": lambda store: put(store / "plans" / "0123456789abcdef.parquet", whole),
        "a plan by a foreign name": lambda store: put(store / "plans" / "mine.parquet", whole),
        "a flipped bit in a plan": lambda store: flip(first(store, "plans")),
    }
    return kinds if name is None else kinds[name]


DAMAGES = [*damaged(None)]
LOSES = ("a flipped bit", "a torn part")  # those that damage a file of the store
