"""Operations counted by hand, and by a training step on scalars that count their operations."""

import pytest

from featlearn.bench.arithmetic import step_flops


def test_by_hand_for_two_samples_and_one_filter_a_sign():
    """f = 2, k = 3: D G is 6 entries of 3 multiplications and 3 additions, 36; everything else is passes over 6."""
    gradient = 36 + 4 * 6
    assert step_flops("sgd", 2, 1) == gradient + 2 * 6 + 2 * 6
    assert step_flops("sam", 2, 1) == 2 * gradient + 2 * 6 + 2 * 6 + 2 * 6 + 2 * 6
    assert step_flops("sam", 20, 10) == 42_000


class Counted:
    """A number that counts operations on it."""

    done = 0

    def __init__(self, x):
        self.x = x

    def _binary(self, other, result):
        Counted.done += 1
        return Counted(result)

    def __add__(self, other):
        return self._binary(other, self.x + other.x)

    def __sub__(self, other):
        return self._binary(other, self.x - other.x)

    def __mul__(self, other):
        return self._binary(other, self.x * other.x)

    def relu(self):
        return self._binary(None, max(self.x, 0.0))

    def slope(self):
        return self._binary(None, float(self.x > 0))


def gradient(align, gram):
    """D and D G; the slope of the loss, one per sample, is not counted, as in step_flops."""
    f, k, c = len(align), len(gram), Counted(0.1)
    outputs = [Counted(0.0)] * k
    for row in align:
        outputs = [total + a.relu() for total, a in zip(outputs, row, strict=True)]
    coef = [[a.slope() * c for a in row] for row in align]
    product = [[Counted(0.0)] * k for _ in range(f)]
    for r in range(f):
        for i in range(k):
            for j in range(k):
                product[r][i] = product[r][i] + coef[r][j] * gram[j][i]
    return coef, product


def shifted(rows, factor, others):
    return [[a + factor * b for a, b in zip(*pair, strict=True)] for pair in zip(rows, others, strict=True)]


def step(rule, align, coef, gram):
    d, u = gradient(align, gram)
    if rule == "sam":
        square = Counted(0.0)
        for row, other in zip(d, u, strict=True):
            for a, b in zip(row, other, strict=True):
                square = square + a * b
        d, u = gradient(shifted(align, square, u), gram)
    return shifted(align, Counted(-0.1), u), shifted(coef, Counted(-0.1), d)


@pytest.mark.parametrize("rule", ["sgd", "sam"])
@pytest.mark.parametrize("n, m", [(2, 1), (5, 3)])
def test_by_counting(rule, n, m):
    f, k = 2 * m, n + 1
    rows = [[Counted(1.0 + i + j) for i in range(k)] for j in range(f)]
    gram = [[Counted(1.0 + i * j) for i in range(k)] for j in range(k)]
    Counted.done = 0
    step(rule, rows, rows, gram)
    assert Counted.done == step_flops(rule, n, m)
