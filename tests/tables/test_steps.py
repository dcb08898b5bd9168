"""Every run at one step: a recorded one, or its last where it had stopped."""

import pandas as pd
import pytest

from featlearn.tables import at_step


@pytest.fixture
def rows(curves):
    return pd.concat(
        [
            curves("a", [0, 5, 10], test_error=[0.5, 0.3, 0.1]),
            curves("b", [0, 3], test_error=[0.5, 0.2], status="fitted"),
            curves("c", [0, 2], test_error=[0.5, 0.9], status="diverged"),
        ],
        ignore_index=True,
    )


def test_a_run_that_had_stopped_is_read_at_its_last_record(rows):
    read = at_step(rows, 5)
    assert read.set_index("run_id")["test_error"].to_dict() == {"a": 0.3, "b": 0.2, "c": 0.9}
    assert read["step"].tolist() == [5, 3, 2] and read["status"].tolist() == ["ok", "fitted", "diverged"]
    assert at_step(rows, 0)["step"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (3, "^step 3 was not recorded in 1 run, which have records at 0 and 5$"),
        (11, "which have records at 10$"),
        (1, r"^step 1 was not recorded in 3 runs, which have records at 0 and 2$"),
    ],
)
def test_a_step_that_was_not_recorded_is_refused(rows, step, message):
    with pytest.raises(ValueError, match=message):
        at_step(rows, step)


def test_a_table_of_last_rows_has_no_other_step(rows):
    with pytest.raises(ValueError, match="step 5 was not recorded in 1 run"):
        at_step(rows.drop_duplicates("run_id", keep="last"), 5)
