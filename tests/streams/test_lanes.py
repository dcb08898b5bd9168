"""Random numbers of many seeds: their laws, and their dependence on their own seed alone, to the bit."""

import zlib

import pytest
import torch
from scipy import stats

from featlearn.streams import lanes
from featlearn.streams.lanes import chi_squares, normals, permutations, plain_pairs, uniforms

SEEDS = torch.arange(500)


def chi(seeds, name, count):
    degrees = 1 + 10 ** (torch.arange(count) % 16).double() + (torch.arange(count) % 3) / 7
    return chi_squares(seeds, name, degrees.expand(len(seeds), count))


DRAWS = {"uniforms": uniforms, "normals": normals, "chi_squares": chi, "permutations": permutations}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 65, 100, 821])
def test_a_seed_is_the_same_in_any_block(name, count):
    """Bits, at odd sizes: log, sin and cos may be rounded differently at the end of an array."""
    draw, seed = DRAWS[name], 2**62 + 12345
    alone = draw(torch.tensor([seed]), "x", count)
    assert alone.shape == (1, count)
    for others in (1, 2, 3, 6, 7, 16, 29):
        for place in {0, others // 2, others}:
            seeds = torch.arange(others + 1)
            seeds[place] = seed
            assert torch.equal(draw(seeds, "x", count)[place], alone[0]), (others, place)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63 - 1])
@pytest.mark.parametrize("attempt", [0, 3])
def test_the_fused_bits_are_the_plain_ones(seed, attempt):
    word = zlib.crc32(b"some name")
    seeds = torch.tensor([seed, 5])
    fused, plain = (f(seeds, word, 48, attempt) for f in (lanes._fused_pairs, plain_pairs))
    assert all(torch.equal(a, b) for a, b in zip(fused, plain, strict=True))


def test_the_first_numbers_are_known():
    """They determine every stored run: another key, counter or fraction would change them all."""
    first = uniforms(torch.tensor([7]), "law, below", 3)[0] * 2.0**53
    assert first.tolist() == [6095451896800479, 8382864103496509, 8084063775020521]


def test_names_seeds_and_attempts_are_independent():
    x = uniforms(SEEDS, "x", 40)
    others = [uniforms(SEEDS, "y", 40), uniforms(SEEDS, "x", 40, 1), uniforms(SEEDS + 1000, "x", 40), x.roll(1, 1)]
    assert stats.kstest(x.flatten(), "uniform").pvalue > 1e-3
    for other in [*others, x.roll(1, 0)]:
        assert stats.pearsonr(x.flatten(), other.flatten()).pvalue > 1e-3
    table = torch.histc(x[:, ::2] * 8 + 8 * (x[:, 1::2] * 8).floor(), 64, 0, 64)  # pairs of neighbours fill the square
    assert stats.chisquare(table).pvalue > 1e-3


def test_uniforms_are_never_zero_and_use_53_bits():
    x = uniforms(SEEDS, "x", 200) * 2.0**53
    assert x.min() >= 1 and x.max() <= 2.0**53 and torch.equal(x, x.round())
    low = x.long() & 0xFF
    assert stats.chisquare(torch.bincount(low.flatten(), minlength=256)).pvalue > 1e-3


def test_normals_are_normal_also_in_pairs():
    x = normals(SEEDS, "n", 200)
    assert stats.kstest(x.flatten(), "norm").pvalue > 1e-3
    one, other = x[:, :96], x[:, 104:200]  # sine and cosine of one angle stand half a padded row apart
    assert stats.kstest((one + other).flatten() / 2**0.5, "norm").pvalue > 1e-3
    assert stats.kstest(x.square().sum(1), stats.chi2(200).cdf).pvalue > 1e-3


@pytest.mark.parametrize("degrees", [1.0, 1.5, 2.0, 3.0, 10.7, 1e3, 1e6, 1e10, 1e15])
def test_chi_squares_follow_their_law(degrees):
    x = chi_squares(SEEDS, f"{degrees}", torch.full((500, 20), degrees, dtype=torch.float64)).flatten()
    if degrees < 1e9:
        p = stats.kstest(x, stats.chi2(degrees).cdf).pvalue
    else:  # normal up to a skewness of sqrt(8 / degrees), which is below what can be seen
        p = stats.kstest((x - degrees) / (2 * degrees) ** 0.5, "norm").pvalue
    assert p > 1e-3
    shifted = x + 0.2 * (2 * degrees) ** 0.5
    assert stats.kstest(shifted, stats.chi2(degrees).cdf).pvalue < 1e-6  # negative control


def test_orders_are_permutations_and_even():
    orders = permutations(torch.arange(6000), "p", 3)
    assert torch.equal(orders.sort(1).values, torch.arange(3).expand(6000, 3))
    counts = torch.bincount(orders @ torch.tensor([9, 3, 1]), minlength=27)
    assert (counts > 0).sum() == 6 and stats.chisquare(counts[counts > 0]).pvalue > 1e-3
