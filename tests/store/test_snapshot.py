"""Which row of a run is current: against a slow twin."""

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featlearn.store import Store
from featlearn.store.snapshot import Snapshot, planned_ids

RUNS, STATUSES = st.sampled_from("abcdef"), st.sampled_from(["ok", "failed", "diverged"])


def twin(rows, planned):
    """The current row of every run: planned ones in their order, the others as committed."""
    current = {}
    for failed in (True, False):
        current |= {run: i for i, (run, status) in enumerate(rows) if (status == "failed") == failed}
    first = [current[run] for run in dict.fromkeys(planned) if run in current]
    return first, sorted(row for run, row in current.items() if run not in planned)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.lists(st.tuples(RUNS, STATUSES), min_size=1), max_size=4), plans=st.lists(st.lists(RUNS)))
def test_current_rows_are_those_of_a_slow_twin(tmp_path_factory, parts, plans):
    store = Store.create(tmp_path_factory.mktemp("s") / "s", "test")
    for plan in plans:
        store.add_plan(plan, "{}")
    for part in parts:
        store.add_part(pa.table([[run for run, _ in part], [status for _, status in part]], ["run_id", "status"]), {})
    rows = [row for part in parts for row in part]
    runs = Snapshot.of(store.path)
    kept = [plan.run_ids.to_pylist() for plan in runs.plans]
    assert sorted(kept) == sorted([*plan] for plan in {*map(tuple, plans)})
    planned = [run for plan in kept for run in plan]
    assert planned_ids(runs.plans).to_pylist() == [*dict.fromkeys(planned)]
    assert tuple(map(list, runs.current(runs.plans))) == twin(rows, planned)
    assert {*runs.finished().to_pylist()} == {run for run, status in rows if status != "failed"} == store.finished()


def test_rows_are_split_by_parts(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    for ids in (["a", "b"], ["c"], ["d", "e", "f"]):
        store.add_part(pa.table([ids, ["ok"] * len(ids)], ["run_id", "status"]), {})
    runs = Snapshot.of(store.path)
    pieces = [(part.table["run_id"].to_pylist(), at.tolist()) for part, at in runs.split(runs.current([])[0])]
    assert pieces == []
    found = runs.split(runs.current([])[1][[5, 1, 3]])
    assert [(part.table["run_id"].to_pylist(), at.tolist()) for part, at in found] == [
        (["a", "b"], [1]),
        (["d", "e", "f"], [0, 2]),
    ]


def test_failures_are_counted_run_by_run(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    for ids, status in ((["a", "b"], "failed"), (["b"], "failed"), (["a", "c"], "ok")):
        store.add_part(pa.table([ids, [status] * len(ids)], ["run_id", "status"]), {})
    assert Snapshot.of(store.path).failures() == {"a": 1, "b": 2}
