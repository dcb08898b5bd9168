"""Status counts the runs of the latest sweep."""

from helpers import make_run
from stores import filled, trajectory

from featlearn.store import Store, failed_rows, rows, status


def test_status_counts_the_runs_of_the_latest_sweep(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    ends = ["ok", "fitted", "diverged"]
    store.add_part(rows([trajectory(seed, end=end) for seed, end in enumerate(ends)]), {})
    store.add_plan([make_run(seed=seed).run_id for seed in range(1, 8)], "{}")
    store.add_part(rows([trajectory(3)]), {})
    store.add_part(failed_rows([make_run(seed=4), make_run(seed=5)], "killed"), {})
    now = status(tmp_path / "s")
    assert (now.n_runs, now.done, now.reused, now.failed, now.missing, now.others) == (7, 3, 2, 2, 2, 1)
    assert (now.fitted, now.diverged) == (1, 1)
    assert now.failures == {"killed": 2}


def test_a_store_without_parts_has_a_status(tmp_path):
    filled(tmp_path / "s")
    store = Store.open(tmp_path / "s")
    store.add_plan(["a", "b"], "{}")
    assert (status(store.path).missing, status(store.path).done) == (2, 0)
