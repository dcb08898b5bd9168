"""Calls alternate, ratios are right, peaks are measured."""

import time

import numpy as np
import pytest

from featlearn.bench.measure import Timing, interleave, with_peak


def test_calls_take_turns_and_the_first_round_does_not_count():
    made = []
    slow = {0: 0.0, 1: 0.0, 2: 0.03}
    calls = {
        "a": lambda number: made.append(("a", number)),
        "b": lambda number: (made.append(("b", number)), time.sleep(slow[number])),
    }
    taken = interleave(calls, 2, "cpu")
    assert made == [(name, number) for number in range(3) for name in "ab"]
    assert len(taken["a"].seconds) == len(taken["b"].seconds) == 2
    assert taken["b"].seconds[1] >= 0.03 > taken["a"].seconds[1]


def test_ratios_are_of_medians_with_the_extremes_of_the_rounds():
    ratio = Timing((2.0, 4.0, 9.0)).over(Timing((1.0, 1.0, 3.0)))
    assert ratio == {"median": 4.0, "min": 2.0, "max": 4.0}
    assert Timing((2.0, 4.0, 9.0)).per(2).summary() == {"median": 2.0, "min": 1.0, "max": 4.5}


def hold(mebi):
    return float(np.ones(mebi * 2**17).sum())


def test_the_peak_of_a_process_is_that_of_the_call():
    small, large = (with_peak(hold, mebi, device="cpu") for mebi in (1, 300))
    assert large[0] == 300 * 2**17
    grown = [peak["growth"] / 2**20 for _, peak in (small, large)]
    assert grown[1] == pytest.approx(300, abs=60) and grown[0] < 60
    assert large[1]["peak"] > large[1]["growth"]
