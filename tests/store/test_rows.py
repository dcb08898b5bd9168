"""Trajectories as rows: a row per run, records as lists."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from helpers import make_run
from stores import trajectory

from featlearn.store import failed_rows, rows


def test_a_run_is_a_row_with_its_settings_its_end_and_its_lists():
    short, long = trajectory(3, steps=(0, 7), end="diverged"), trajectory(4)
    table = rows([short, long])
    assert table.num_rows == 2 and table["step"].to_pylist() == [[0, 7], [0, 10, 20]]
    assert table["train_loss"].to_pylist() == [t.values["train_loss"].tolist() for t in (short, long)]
    for row, t in zip(table.to_pylist(), (short, long), strict=True):
        end = {"run_id": t.run.run_id, "status": t.status, "message": t.message, "stopped_step": t.stopped_step}
        assert {**end, **t.run.columns()}.items() <= row.items()


def test_further_axes_become_lists_in_the_list():
    base = trajectory(0)
    coefs = np.arange(24.0).reshape(2, 3, 4)
    table = rows([replace(base, values={"signal_coef": coef}) for coef in coefs])
    assert table.schema.field("signal_coef").type == pa.list_(pa.list_(pa.float64()))
    assert table["signal_coef"].to_pylist() == coefs.tolist()


def test_a_failed_run_has_its_settings_and_no_step():
    run = make_run(seed=5)
    (row,) = failed_rows([run], "ValueError: no").to_pylist()
    assert row == {"run_id": run.run_id, "status": "failed", "message": "ValueError: no", **run.columns()}


def test_runs_that_differ_in_their_seeds_alone_have_the_rows_that_they_have_alone():
    first, other = make_run(seed=5), make_run(seed=7, data__dim=50)
    runs = [first, other.with_seed(3), first.with_seed(2**62), other, first.with_seed(0)]
    table = failed_rows(runs, "no")
    assert table.to_pylist() == [row for run in runs for row in failed_rows([run], "no").to_pylist()]
    assert table["seed"].to_pylist() == [5, 3, 2**62, 7, 0] and table["data.dim"].to_pylist()[1:4:2] == [50, 50]
