import numpy as np
import pytest
from helpers import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from featlearn.streams import stream

SEEDS = st.integers(0, 2**64 - 1)
NAMES = st.text(max_size=20)


@given(SEEDS, NAMES)
@PROPERTY
def test_same_seed_and_name_give_the_same_draws(seed, name):
    assert stream(seed, name).random(5).tolist() == stream(seed, name).random(5).tolist()


@given(SEEDS, SEEDS, NAMES)
@PROPERTY
def test_other_seeds_give_other_draws(a, b, name):
    assert (stream(a, name).random(5).tolist() == stream(b, name).random(5).tolist()) == (a == b)


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_every_name_in_use_has_its_own_draws(seed):
    names = ["true_labels", "flips", "positions", "noise", "init_weights", "init_biases"]
    assert len({tuple(stream(seed, name).random(3)) for name in names}) == len(names)


def test_a_stream_does_not_notice_other_streams():
    alone = stream(3, "noise").random(10)
    noise, other = stream(3, "noise"), stream(3, "flips")
    mixed = []
    for _ in range(10):
        other.random(7)
        mixed.append(noise.random())
    assert alone.tolist() == mixed


def test_stored_runs_keep_their_seeds():
    """Philox, keyed by (seed, crc32 of the name): another key would make another run of every stored one."""
    keyed = np.random.Philox(key=np.array([5, 0xFDA99629], dtype=np.uint64))
    assert stream(5, "noise").bit_generator.random_raw(4).tolist() == keyed.random_raw(4).tolist()
    assert stream(5, "noise").bit_generator.random_raw() == 15844511783171818929


@pytest.mark.parametrize("bad", [-1, 2**64])
def test_a_seed_that_does_not_fit_is_refused(bad):
    with pytest.raises(OverflowError):
        stream(bad, "noise")


def test_consecutive_seeds_are_independent_and_uniform():
    first = np.array([stream(seed, "noise").random(2) for seed in range(4000)])
    assert stats.kstest(first[:, 0], "uniform").pvalue > 1e-3
    pairs = {
        "next seed": (first[:-1, 0], first[1:, 0]),
        "next draw": (first[:, 0], first[:, 1]),
        "other name": (first[:, 0], [stream(seed, "flips").random() for seed in range(4000)]),
    }
    for what, (x, y) in pairs.items():
        assert stats.pearsonr(x, y).pvalue > 1e-3, what
