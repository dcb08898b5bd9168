"""The check at the start of a process: silent where all lanes of a block agree, with a warning where they do not."""

import warnings

import pytest
import torch
from helpers import make_run

from featlearn import independence
from featlearn.independence import LEAST, OPERATIONS, IndependenceWarning, check_independence
from featlearn.simulation import lanes, simulate
from featlearn.streams.lanes import uniforms


@pytest.fixture(autouse=True)
def fresh():
    """The check is made once a process."""
    check_independence.cache_clear()
    yield
    check_independence.cache_clear()


def by_place(x):
    """A batched product as on some processors: every other run is rounded differently."""
    odd = (torch.arange(len(x)) % 2).to(x.dtype)
    return x.exp() * (1 + odd * torch.finfo(x.dtype).eps)[:, None, None]


def test_this_machine_keeps_the_promise():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_independence("cpu")


def test_an_operation_that_does_not_is_named(monkeypatch):
    monkeypatch.setitem(OPERATIONS, "exp", by_place)
    with pytest.warns(IndependenceWarning, match=r"other runs of its block: exp \(float64\), exp \(float32\) on cpu"):
        check_independence("cpu")


def test_a_simulation_checks_once(monkeypatch):
    calls = []
    monkeypatch.setattr(independence, "_broken", lambda device: calls.append(device) or [])
    for _ in range(2):
        simulate(make_run(train__n_steps=1, record__steps=(0, 1)))
    assert calls == ["cpu"]


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 5), (5, 3), (7, 7), (20, 21)])
def test_every_place_of_a_full_block_is_alike(name, dtype, shape):
    """On more numbers and sizes than the check itself uses."""
    for b in (LEAST, 4 * LEAST):
        numbers = uniforms(torch.tensor([sum(shape)]), "places", shape[0] * shape[1]).reshape(shape).to(dtype) + 0.01
        found = OPERATIONS[name](numbers.expand(b, *shape).contiguous())
        assert torch.equal(found, found[:1].expand_as(found))


def test_a_block_is_one_run_or_fills_registers():
    sizes = {
        lanes(make_run(data__n_samples=n, network__n_filters=m))
        for n in (2, 20, 60, 100, 150, 300)
        for m in (1, 30, 100, 300)
    }
    assert all(size == 1 or (size >= LEAST and size & (size - 1) == 0) for size in sizes)
    assert {1, LEAST} <= sizes
