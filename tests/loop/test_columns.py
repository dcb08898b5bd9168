"""Columns of trackers: real numbers, a row for each run, under their own names; NaN where a record lacks one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from helpers import ALL_TRACKERS, make_run

from featlearn.loop.columns import Columns
from featlearn.optim.answers import AnswerError, columns
from featlearn.runs import Record
from featlearn.simulation import simulate, simulate_seeds
from featlearn.trackers import Loss
from featlearn.types import HEAD


@dataclass(frozen=True, kw_only=True)
class Writes:
    """Writes an answer, at every record another one if it is a list."""

    answer: Any

    def __call__(self, view):
        return self.answer[view.step // 10] if isinstance(self.answer, list) else self.answer


def trained(*answers):
    trackers = (Loss(), *(Writes(answer=answer) for answer in answers))
    return simulate(make_run(record=Record(steps=(0, 10, 20), trackers=trackers))).values


LANES = 128  # of a block of the run above
ONE, TWO, FIVE = torch.ones(LANES), torch.ones(LANES, 2), torch.ones(LANES, 5)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([{}, {"x": ONE}, {"x": 2 * ONE}], [np.nan, 1, 2]),
        ([{"x": ONE}, {}, {"x": 2 * ONE}], [1, np.nan, 2]),
        ([{"x": ONE > 0}, {"x": ONE > 1}, {}], [1, 0, np.nan]),
        ([{}, {"x": TWO}, {}], [[np.nan] * 2, [1, 1], [np.nan] * 2]),
        ([{"x": ONE.half()}, {"x": ONE.bfloat16()}, {"x": ONE.requires_grad_()}], [1, 1, 1]),
        ([{"x": torch.ones(LANES, 0)}] * 3, [[], [], []]),
    ],
)
def test_a_column_that_is_not_always_written_is_nan_where_it_is_not(answers, expected):
    found = trained(answers)
    np.testing.assert_array_equal(found["x"], expected)
    assert len(found["train_loss"]) == 3 and np.isfinite(found["train_loss"]).all()


@pytest.mark.parametrize(
    "name", [*HEAD, "committed", "", "data.dim", "data.snr", "optimizer.lr", "optimizer.mine", "optimizer", "train.x.y"]
)
def test_the_names_of_a_run_and_of_its_config_are_refused(name):
    with pytest.raises(AnswerError, match=rf"Writes.__call__ must return columns of other names .* found '{name}'"):
        trained({name: ONE})


@pytest.mark.parametrize("name", ["x", "test_error.mine", "database", "step.mine", "trained", "überraschung"])
def test_other_names_are_a_trackers_own(name):
    assert name in trained({name: ONE})


def test_the_columns_of_another_tracker_are_refused_at_any_record():
    taken = r"found 'train_loss', which Loss writes too"
    with pytest.raises(AnswerError, match=taken):
        trained([{}, {}, {"train_loss": ONE}])
    with pytest.raises(AnswerError, match="found 'x', which Writes writes too"):
        trained({"x": ONE}, {"x": ONE})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"x": torch.ones(LANES, dtype=torch.complex128)}, r"real numbers, .* of torch.complex128 under 'x'"),
        ({"x": torch.ones(LANES, dtype=torch.complex64)}, r"of torch.complex64 under 'x'"),
        ({"x": torch.ones(LANES + 1)}, rf"\[{LANES}, length\]: a row .*; found Tensor of shape \({LANES + 1},\)"),
        ({"x": torch.ones(LANES, 2, 2)}, rf"found Tensor of shape \({LANES}, 2, 2\) under 'x'"),
        ({"x": torch.tensor(1.0)}, r"found Tensor of shape \(\) under 'x'"),
        ({"x": 1.0}, "found float under 'x'"),
        ({"x": np.ones(LANES)}, "found ndarray of shape"),
        ({"x": None}, "found NoneType under 'x'"),
        ({3: ONE}, "under 3"),
        ([{"x": TWO}, {"x": FIVE}, {}], r"'x' in one shape at every record; found \(128, 5\) after \(128, 2\)"),
        ([{"x": ONE}, {}, {"x": TWO}], r"found \(128, 2\) after \(128,\)"),
        ({"x": torch.full((LANES,), 2**53 + 1)}, "integers up to 2\\*\\*53, which float64 holds; found larger ones"),
        (None, "found NoneType"),
    ],
)
def test_a_column_without_a_real_number_for_each_run_fails_with_the_reason(answer, message):
    with pytest.raises(AnswerError, match=message) as caught:
        trained(answer)
    assert caught.value.place[0] == __file__


def test_integers_that_float64_holds_are_kept():
    assert trained({"x": torch.full((LANES,), 2**53)})["x"].tolist() == [2.0**53] * 3


def test_a_column_that_some_blocks_lack_is_nan_there(monkeypatch):
    @dataclass(frozen=True, kw_only=True)
    class Some:
        def __call__(self, view):
            return {"x": TWO[: len(view.batch)]} if 1 in view.engine.seeds else {}

    monkeypatch.setattr("featlearn.simulation.lanes", lambda run, device: 2)
    found = simulate_seeds(make_run(record=Record(steps=(0, 20), trackers=(Loss(), Some()))), [5, 6, 1, 2])
    assert found["x"].shape == (4, 2, 2)
    assert np.isnan(found["x"][:2]).all() and (found["x"][2:] == 1).all()


def test_no_two_trackers_of_the_package_write_one_column():
    assert "train_loss" in simulate(make_run(record=Record(steps=(20,), trackers=ALL_TRACKERS))).values


def test_an_answer_is_checked_where_it_is_received():
    kept = Columns()
    tracker = Writes(answer={"x": ONE})
    kept.add([(tracker, columns(tracker, None, LANES))])
    assert kept.arrays()["x"].shape == (LANES, 1)
