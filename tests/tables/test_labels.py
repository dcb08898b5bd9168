"""Names of optimizers and cells keep their settings, whatever these contain."""

import pandas as pd
import pytest

from featlearn.tables import by_optimizer, cell_labels, optimizer_labels
from featlearn.tables.columns import by_cell
from featlearn.tables.labels import Label, texts

SAM = {"optimizer.name": "sam"}


def test_a_label_is_its_words_and_its_settings():
    label = Label("sam", {"rho": "0.03", "why": "a = b c"})
    assert label == "sam rho=0.03 why=a = b c" and {label: 1}["sam rho=0.03 why=a = b c"] == 1
    assert label.name == "sam" and label.settings == {"rho": "0.03", "why": "a = b c"}
    assert Label("sgd") == "sgd" and Label("sgd").settings == {}


@pytest.mark.parametrize("value", ["a b", "a=b", "[1.0, 2.0]", [1.0, 2.0], (1, 2), {"a": 1}, "", "$x_"])
def test_a_setting_may_hold_anything(runs, value):
    df = runs(SAM, SAM).assign(**{"optimizer.words": [value, "other"]})
    first, second = by_optimizer(df)
    assert first.settings["words"] == str(tuple(value) if isinstance(value, list) else texts_of(value))
    assert second.settings == {"words": "other"} and len(by_optimizer(df, first)) == 1
    spectra = runs({}, {"run_id": "s"}).assign(**{"network.spectrum": [value, "other"]})
    assert [len(part) for part in by_cell(spectra).values()] == [1, 1]
    assert cell_labels(spectra).nunique() == 2


def texts_of(value):
    return tuple(value.items()) if isinstance(value, dict) else value


def test_numbers_have_the_fewest_digits_that_distinguish_them(runs):
    df = runs(*(SAM | {"optimizer.rho": rho} for rho in (0.11180339, 0.11180341, 0.5)))
    assert optimizer_labels(df).tolist() == ["sam rho=0.11180339", "sam rho=0.11180341", "sam rho=0.5"]
    assert [*by_optimizer(df)] == optimizer_labels(df).tolist()
    assert texts(pd.Series([1 / 3, 1 / 3 + 1e-12, None])) == ["0.333333333333", "0.333333333334", None]
    assert texts(pd.Series([0.1, 1000.0, 7.0])) == ["0.1", "1000", "7"]
