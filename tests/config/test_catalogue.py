"""The descriptions of all entries: featlearn list, and the JSON schema."""

from __future__ import annotations

import re
from dataclasses import MISSING
from pathlib import Path

import pytest

from featlearn.config import describe
from featlearn.config.catalogue import KINDS
from featlearn.custom import CustomError
from featlearn.engines import ENGINES
from featlearn.optim import OPTIMIZERS
from featlearn.trackers import TRACKERS


def test_everything_is_listed_with_what_it_is() -> None:
    assert [entry.name for entry in describe("optimizers")] == [*OPTIMIZERS]
    assert [entry.name for entry in describe("trackers")] == [*TRACKERS]
    assert [entry.name for entry in describe("engines")] == [*ENGINES]
    assert all(entry.doc.endswith(".") and entry.engines for kind in (*KINDS, "engines") for entry in describe(kind))


def test_a_rule_is_listed_with_its_source_and_its_parameters() -> None:
    (sam,) = [entry for entry in describe("optimizers") if entry.name == "sam"]
    assert sam.reference == "Foret et al. 2021, arXiv 2010.01412"
    defaults = {parameter.name: parameter.default for parameter in sam.parameters}
    assert (defaults["rho"], defaults["start"], defaults["stop"]) == (MISSING, 0, None)
    assert sam.bases[0] == "sgd" and not {"lr", "momentum"} & set(defaults)
    (sgd,) = describe("optimizers", sam.bases[0])
    assert {p.name: p.shown_default for p in sgd.parameters}["lr_schedule"] == "constant"


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^there is no smm among the optimizers; did you mean 'sam'\?$"):
        describe("optimizers", "smm")


def test_a_source_is_read_from_the_file_where_the_class_names_none() -> None:
    data, *_ = describe("data")
    assert data.reference.startswith("the data model of Cao et al. 2022 (arXiv 2202.06526), Kou")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^there are no tracker; did you mean 'trackers'\?$"):
        describe("tracker")


def test_an_own_drift_and_diffusion_are_listed(tmp_path, monkeypatch) -> None:
    """The example of the page on flows and SDEs."""
    page = (Path(__file__).parents[2] / "docs" / "guide" / "flows.md").read_text()
    (text,) = re.findall(r"^```python\n(# my_sde\.py\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_sde.py").write_text(text)
    (entry,) = describe("optimizers", "my_sde.py:Langevin")
    assert entry.doc == "Gradient flow at a temperature." and entry.engines == ("weights",)
    assert [parameter.name for parameter in entry.parameters] == ["lr", "temperature"]
    (tmp_path / "half.py").write_text(text.replace("def diffusion", "def spread"))
    with pytest.raises(CustomError, match=r"half\.py:Langevin cannot be used here: it lacks the method diffusion"):
        describe("optimizers", "half.py:Langevin")
