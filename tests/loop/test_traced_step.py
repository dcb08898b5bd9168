"""The uses of a step number are recorded, and a trace holds exactly at the steps with the same results."""

import math

import pytest
import torch

from featlearn.loop.traced_step import Trace

FUNCTIONS = {
    "nothing": lambda t: 3.0,
    "computed and left": lambda t: (t - 4, 2 * t, 1.0)[2],
    "window": lambda t: 5 <= t < 20,
    "shifted window": lambda t: 3 if 4 < t + 1 <= 9 else 4,
    "every third": lambda t: (t - 4) % 3 == 0,
    "not equal": lambda t: "late" if t != 7 else "seven",
    "halves": lambda t: 0.5 ** (t // 10),
    "power of it": lambda t: t**2 > 100,
    "mixed": lambda t: 30 / (1 + t) > 2 and 1 - t < -5,
    "cosine": lambda t: math.cos(min(t / 9, 1.0)),
    "index": lambda t: [1, 2][t > 3] + list(range(100))[t],
    "key": lambda t: {3: "three"}.get(t, "other"),
    "text": lambda t: len(f"step_{t}"),
    "format": lambda t: f"{t:03d}",
    "tensor": lambda t: (torch.arange(3) * (t // 7)).tolist(),
    "tensor on the right": lambda t: (t % 4 - torch.ones(2)).tolist(),
    "truth": lambda t: "later" if t else "first",
    "number": lambda t: float(t) + int(t) + abs(-t),
    "division by it": lambda t: 1 / (t - 5) > 0.1 if t != 5 else None,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_trace_holds_only_where_the_result_is_the_same(name):
    function, steps = FUNCTIONS[name], range(40)
    for t in steps:
        trace = Trace()
        assert plain(function(trace.step(t))) == function(t), t
        holds = [other for other in steps if trace.holds(other)]
        assert t in holds and all(function(other) == function(t) for other in holds)


def plain(result):
    return result.value() if hasattr(result, "value") else result


@pytest.mark.parametrize(
    ("name", "t", "count"),
    [
        ("nothing", 0, 40),
        ("window", 9, 15),
        ("every third", 0, 27),
        ("halves", 25, 10),
        ("cosine", 12, 30),
        ("key", 3, 1),
    ],
)
def test_a_trace_holds_wherever_it_may(name, t, count):
    trace = Trace()
    FUNCTIONS[name](trace.step(t))
    assert sum(map(trace.holds, range(40))) == count


def test_a_number_that_is_none_is_like_no_other():
    trace = Trace()
    assert math.isnan(float(trace.step(3) * math.nan)) and not trace.holds(3)
