"""Labels in Unicode."""

import pytest

from featlearn.plots.style import LABELS
from featlearn.reports.labels import formula, optimizer_words, symbol, unicode, words
from featlearn.tables.labels import Label
from featlearn.theory import LAWS


@pytest.mark.parametrize("column", LABELS)
def test_no_label_keeps_a_sign_of_tex(column):
    assert not {"$", "\\"} & {*words(column)}


def test_other_columns_are_named_as_they_are():
    assert words("my$column") == "my$column"
    assert words("optimizer.stop") == "stop" and words("test_error.u") == "test_error.u"
    assert words("optimizer.rho.theory") == "SAM radius ρ, in units of theory"


def test_an_optimizer_is_named_with_its_settings():
    assert optimizer_words(Label("sam", {"rho": "0.03", "stop": "40"})) == "SAM (ρ = 0.03, stop = 40)"
    assert optimizer_words(Label("my.py:A$B")) == "A$B"


def test_formulas_and_escaped_dollars():
    assert unicode(r"$\sigma_p$ costs \$5") == "σ_{p} costs $5"
    assert symbol("data.signal_norm") == "‖μ‖" and symbol("data.snr") == "snr" and symbol("network.init_std") == "σ_{0}"


@pytest.mark.parametrize("law", LAWS)
def test_no_law_of_theory_keeps_a_sign_of_tex(law):
    found = formula(LAWS[law].symbol) + formula(LAWS[law].formula)
    assert not {"\\", "-"} & {*found} and found.count("{") == found.count("_{") + found.count("^{")


def test_powers_roots_and_indices_of_a_formula():
    assert formula(r"\sigma_p\sqrt{d}\,(m^{-1/3}/\|w^*\|^2)") == "σ_{p}√d (m^{−1/3}/‖w^{*}‖^{2})"
