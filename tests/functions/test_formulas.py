import pytest
import torch

from featlearn.functions import ACTIVATIONS, LOSSES
from featlearn.functions.formulas import FUNCTIONS, chosen, smooth, source, torch_function, variables

X = torch.tensor([-2.0, -0.0, 0.0, 0.5, 3.0], dtype=torch.float64)
FORMULAS = [f for act in ACTIVATIONS.values() for f in (act.value_formula, act.slope_formula, act.second_formula) if f]
FORMULAS += [f for loss in LOSSES.values() for f in (loss.value_formula, loss.slope_formula, loss.second_formula) if f]


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("positive(x)", [0.0, 0.0, 0.0, 0.5, 3.0]),
        ("step(x)", [0.0, 0.0, 0.0, 1.0, 1.0]),
        ("where(x > 0, x, 2)", [2.0, 2.0, 2.0, 0.5, 3.0]),
        ("where(x > 0, 7, 2 * x)", [-4.0, 0.0, 0.0, 7.0, 7.0]),
        ("sqrt(abs(x))", [2**0.5, 0.0, 0.0, 0.5**0.5, 3**0.5]),
        ("1 - 3", [-2.0] * 5),
    ],
)
def test_words(formula, expected):
    got = torch_function("x", formula)(X)
    assert got.dtype == X.dtype and got.tolist() == expected


@pytest.mark.parametrize("word", ["exp", "log1p", "tanh", "erf", "sigmoid"])
def test_words_that_torch_has(word):
    assert torch.equal(torch_function("x", f"{word}(abs(x))")(X), getattr(torch, word)(X.abs()))


def test_a_constant_has_the_shape_and_precision_of_the_first_argument():
    got = torch_function("f, y", "2")(torch.zeros(2, 3, dtype=torch.float32), torch.zeros(3))
    assert got.dtype == torch.float32 and got.tolist() == [[2.0] * 3] * 2


def test_the_margin_may_be_written():
    assert variables("-y * sigmoid(-m)") == {"y", "m"} and variables("2 + 1") == set()
    assert torch_function("f, y", "m - 1")(X, -torch.ones_like(X)).tolist() == [1.0, -1.0, -1.0, -1.5, -4.0]


def test_source_writes_numbers_as_asked():
    text = "def g(f, y):\n    m = y * f\n    return number(0.5) * m - number(1)\n"
    assert source("g", "f, y", "0.5 * m - 1", number="number({})") == text


@pytest.mark.parametrize("formula", ["log(z)", "positive(log(z))", "torch.sin(z)"])
def test_an_unknown_word_is_refused(formula):
    found = formula.replace("positive(", "").partition("(")[0]
    with pytest.raises(ValueError, match=rf"expected functions among positive, step, where, .*; found {found}$"):
        torch_function("z", formula)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        *[(formula, True) for formula in ("softplus(-m)", "z / sqrt(1 + z * z)", "2")],
        *[(formula, False) for formula in ("exp(positive(z))", "abs(z)", "step(m) * y", "(z > 0) * z")],
    ],
)
def test_a_formula_is_smooth_without_kinks(formula, expected):
    assert smooth(formula) == expected


@pytest.mark.parametrize("formula", FORMULAS)
def test_every_formula_is_one_of_its_variables(formula):
    assert variables(formula) <= {"z"} or variables(formula) <= {"f", "y", "m"}


def test_every_word_has_a_use():
    assert [word for word in FUNCTIONS if word not in ("log1p", "sqrt", "abs") and word not in " ".join(FORMULAS)] == []


def test_an_unknown_choice_fails_with_the_choices():
    assert chosen("loss", "b", {"a": 1, "b": 2}) == 2
    with pytest.raises(ValueError, match=r"^loss: expected one of a, b; found c$"):
        chosen("loss", "c", {"a": 1, "b": 2})
