"""The samples of a step: their weights, and the mean and the covariance of these for each way of drawing."""

from functools import partial

import numpy as np
import pytest
import torch

from featlearn.engines.batches import batch_variance, batch_weights, resampled, shuffled, subset

N, SIZE, SEEDS = 6, 4, torch.arange(20_000)
DRAWS = {
    "epochs": shuffled(SEEDS, N, 3)[:, :SIZE],
    "without_replacement": subset(SEEDS, "a", N, SIZE, 3),
    "with_replacement": resampled(SEEDS, "a", N, SIZE, 3),
}


def weights_of(samples, n=N):
    return batch_weights(samples, torch.zeros(len(samples), n, dtype=torch.float64)).numpy()


def deviation(weights, c):
    """How far mean and covariance are from 1/n and (c/n) (I - 11'/n), in standard errors, the largest."""
    n = weights.shape[1]
    centred = weights - 1 / n
    products = (centred[:, :, None] * centred[:, None, :]).reshape(len(weights), -1)
    found = np.concatenate([centred, products - (c / n) * (np.eye(n) - 1 / n).ravel()], 1)
    return np.max(np.abs(found.mean(0)) * np.sqrt(len(found)) / found.std(0))


@pytest.mark.parametrize("sampling", DRAWS)
def test_mean_and_covariance_of_the_weights(sampling):
    weights = weights_of(DRAWS[sampling])
    own, others = batch_variance(N, SIZE, sampling), {1 / 4, 2 / 20}
    assert own in others and deviation(weights, own) < 4
    assert deviation(weights, *(others - {own})) > 20  # the other law


@pytest.mark.parametrize("draw", [subset, resampled])
def test_steps_and_names_are_independent(draw):
    first, second, other = (weights_of(draw(SEEDS, *at)) for at in [("a", N, 3, 0), ("a", N, 3, 1), ("b", N, 3, 0)])
    halves = [weights_of(half) for half in shuffled(SEEDS, N, 0).split(3, 1)]  # of an epoch: not independent

    def largest(u, v):
        products = ((u - 1 / N)[:, :, None] * (v - 1 / N)[:, None, :]).reshape(len(u), -1)
        return np.max(np.abs(products.mean(0)) * np.sqrt(len(u)) / products.std(0))

    assert largest(first, second) < 4 and largest(first, other) < 4 < 20 < largest(*halves)


def test_samples_are_those_of_the_set_and_distinct_without_replacement():
    both = torch.cat([DRAWS["without_replacement"], DRAWS["with_replacement"]])
    assert both.min() == 0 and both.max() == N - 1
    distinct = [[len(set(row)) for row in DRAWS[name].tolist()] for name in ("without_replacement", "with_replacement")]
    assert set(distinct[0]) == {SIZE} and set(distinct[1]) == {1, 2, 3, 4}


@pytest.mark.parametrize("draw", [partial(subset, size=3), partial(resampled, size=7)])
def test_a_run_draws_the_same_in_any_block(draw):
    seeds = torch.tensor([4, 2**40, 0, 9])
    together = draw(seeds, "a", 7, step=2)
    assert all(torch.equal(together[[i]], draw(seeds[[i]], "a", 7, step=2)) for i in range(4))
    assert not torch.equal(together[0], together[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_of_distinct_samples_are_equal_and_duplicates_are_added(dtype):
    like = torch.zeros(2, 4, dtype=dtype)
    assert batch_weights(torch.tensor([[3, 0], [1, 2]]), like).tolist() == [[0.5, 0, 0, 0.5], [0, 0.5, 0.5, 0]]
    twice = torch.tensor([[3, 0, 3, 3], [1, 1, 2, 2]])
    assert batch_weights(twice, like).tolist() == [[0.25, 0, 0, 0.75], [0, 0.5, 0.5, 0]]
    for size in range(1, 30):  # the bits of 1/B
        samples = subset(SEEDS[:1], "a", 30, size, 0)
        expected = torch.zeros(1, 30, dtype=dtype).scatter_(1, samples, 1 / size)
        assert torch.equal(batch_weights(samples, expected), expected)


def test_the_variance_at_its_ends():
    for sampling in ("epochs", "without_replacement"):
        assert batch_variance(7, 7, sampling) == batch_variance(1, 1, sampling) == 0.0
    assert batch_variance(7, 1, "without_replacement") == batch_variance(7, 1, "with_replacement") == 1.0
    assert batch_variance(7, 7, "with_replacement") == 1 / 7
    for size in (0, 8):
        with pytest.raises(ValueError, match=f"a batch has 1 to n = 7 samples; found {size}"):
            batch_variance(7, size, "epochs")
