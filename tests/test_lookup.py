"""What a message spells can be copied into a condition; several values are a union; nothing is chosen in silence."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from featlearn.lookup import listed, require_names, selected, spelled

RHO = float(0.5 / np.sqrt(20))  # 0.111803398...
TABLE = pd.DataFrame(
    {
        "rho": [RHO, 0.25, np.nan, 0.5],
        "dim": [1000, 20000, 10**15, 10**15 + 1],
        "name": ["sam", "usam", "sgd", "sam"],
        "steps": ["[1.0, 2.0]", "[3.0]", "[1.0, 2.0]", None],
        "bias": [True, False, True, False],
    }
)


@pytest.mark.parametrize("kind", ["numpy", "nullable", "arrow", "object"])
@pytest.mark.parametrize(
    ("column", "wanted", "rows"),
    [
        ("rho", 0.111803, [0]),
        ("rho", 0.1118034, [0]),
        ("rho", RHO * (1 + 1e-12), [0]),
        ("rho", [0.111803, 0.5], [0, 3]),
        ("rho", None, [2]),
        ("rho", [None, 0.25], [1, 2]),
        ("dim", 1e3, [0]),
        ("dim", 10**15, [2]),
        ("dim", np.array([1000, 20000]), [0, 1]),
        ("dim", range(1000, 1001), [0]),
        ("name", "sam", [0, 3]),
        ("name", ("usam", "sgd"), [1, 2]),
        ("name", [["usam", "sgd"], "sam"], [0, 1, 2, 3]),
        ("steps", [1, 2], [0, 2]),
        ("steps", [[1, 2], [3]], [0, 1, 2]),
        ("bias", True, [0, 2]),
    ],
)
def test_rows_that_a_condition_keeps(column, wanted, rows, kind):
    table = {
        "numpy": TABLE,
        "nullable": TABLE.convert_dtypes(),
        "arrow": TABLE.convert_dtypes(dtype_backend="pyarrow"),
        "object": TABLE.astype(object),
    }[kind]
    assert np.flatnonzero(selected(table, {column: wanted})).tolist() == rows


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"rho": 0.1118}, r"^no row has rho = 0.1118; it takes 0.111803, 0.25, null, 0.5$"),
        ({"rho": [0.25, 0.3]}, r"^no row has rho = 0.3; it takes"),
        ({"name": ["sam", "smm"]}, r"^no row has name = 'smm'; it takes sam, usam, sgd$"),
        ({"dim": True}, "no row has dim = True"),
        ({"bias": 1}, "no row has bias = 1; it takes True, False"),
        ({"rho": 0.25, "name": "sgd"}, "^no row has rho = 0.25 and name = 'sgd': each occurs, but not together$"),
        ({"nmae": "sam"}, "no column 'nmae'; did you mean 'name'"),
    ],
)
def test_values_that_no_row_has_are_refused(where, message):
    with pytest.raises(ValueError, match=message):
        selected(TABLE, where)


def test_a_number_that_is_short_for_several_values_is_refused_and_their_spellings_find_them():
    near = pd.DataFrame({"rho": [0.1118034, 0.1118031, 0.2]})
    with pytest.raises(ValueError, match=r"^rho = 0.111803 abbreviates several values: 0.1118034, 0.1118031$"):
        selected(near, {"rho": 0.111803})
    assert listed(near["rho"]) == "0.1118034, 0.1118031, 0.2"
    assert [np.flatnonzero(selected(near, {"rho": float(text)})).tolist() for text in ("0.1118034", "0.1118031")] == [
        [0],
        [1],
    ]


@pytest.mark.parametrize("seed", range(5))
def test_every_spelling_finds_its_own_value(seed):
    """Values from far apart to neighbours in the last bits but four."""
    drawn = np.random.default_rng(seed).uniform(0.1, 1, 40)
    values = np.concatenate([drawn, drawn * (1 + 1e-7), drawn * 10.0 ** np.arange(-20, 20)])
    table = pd.DataFrame({"v": values})
    for row, text in enumerate(spelled(values.tolist())):
        assert selected(table, {"v": float(text)})[row]


def test_ambiguous_texts_are_quoted():
    """So that their spelling, read as YAML, is the text again."""
    mixed = pd.DataFrame({"cut": [0.5, "0.5", True, "True", None, "null", "a,b", "auto"]}, dtype=object)
    words = listed(mixed["cut"], most=10).split(", ")
    assert words == ["0.5", '"0.5"', "True", '"True"', "null", '"null"', '"a,b"', "auto"]
    for row, word in enumerate(words):
        assert np.flatnonzero(selected(mixed, {"cut": yaml.safe_load(word)})).tolist() == [row]


def test_a_table_without_rows_has_none_and_lists_are_no_values():
    assert selected(TABLE.head(0), {"rho": 3}).tolist() == []
    with pytest.raises(ValueError, match="holds lists"):
        selected(pd.DataFrame({"v": [[1], [2]]}), {"v": 1})


def test_a_section_is_meant_by_its_word():
    with pytest.raises(ValueError, match=r"no column 'optimizer'; did you mean 'optimizer\.name'\?"):
        require_names(["optimizer.lr", "optimizer.name"], ["optimizer"])


LISTED = "; there are train_loss, grad_norm, test_loss, a_coef, b_coef, c_coef, d_coef"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("loss", "; did you mean 'network.loss', 'train_loss' or 'test_loss'?"),
        ("grad", "; did you mean 'grad_norm'?"),
        ("coef", "; did you mean 'a_coef', 'b_coef' or 'c_coef'?"),  # the first three
        ("dim", "; did you mean 'data.dim'?"),
        ("gard_norm", "; did you mean 'grad_norm'?"),
        ("ad", LISTED),  # too short
        ("position_1", LISTED),
        ("data.sharpness", "; there are data.dim"),
    ],
)
def test_names_that_contain_an_unknown_one_are_suggested(name, meant):
    names = ["data.dim", "network.loss", "train_loss", "grad_norm", "test_loss", "a_coef", "b_coef", "c_coef", "d_coef"]
    with pytest.raises(ValueError, match=f"^{re.escape(f'no column {name!r}{meant}')}$"):
        require_names(names, [name])
