"""Labels in Unicode, from the figures' in TeX; the page raises ^{...} and lowers _{...}."""

from __future__ import annotations

import re
from collections.abc import Mapping

from featlearn.plots.style import LABELS, label, setting, title
from featlearn.tables.labels import Label

OWN: Mapping[str, str] = {
    "data.snr": "signal-to-noise ratio ‖μ‖/(σ_{p}√d)",
    "signal_coef_max": "signal coefficient, largest",
    "signal_coef_mean": "signal coefficient, mean",
    "noise_coef_pos_max": "noise coefficient, largest",
    "noise_coef_pos_mean": "noise coefficient, mean",
    "noise_coef_neg_min": "noise coefficient, smallest of opposite sign",
    "noise_coef_neg_mean": "noise coefficient, mean of opposite sign",
    "stability_edge": "edge of stability 2/η",
}
SIGNS: Mapping[str, str] = {
    r"\hat\mu": "μ̂",
    r"\sigma_p": "σ_{p}",
    r"\sigma_0": "σ_{0}",
    r"\lambda_{\max}": "λ_{max}",
    r"\|": "‖",
    r"\mu": "μ",
    r"\eta": "η",
    r"\rho": "ρ",
    r"\alpha": "\N{GREEK SMALL LETTER ALPHA}",
    r"\beta": "β",
    r"\,": " ",
}
ROOT, SINGLE = re.compile(r"\\sqrt\{(\w+)\}"), re.compile(r"([\^_])([A-Za-z0-9*])")
FORMULA = re.compile(r"(?<!\\)\$(.*?)(?<!\\)\$")


def words(column: str) -> str:
    """Return the label of a column, its name where that is a number's own, or the last part of a config's key."""
    if column.endswith(".theory"):
        return f"{words(column.removesuffix('.theory'))}, in units of theory"
    return OWN.get(column) or (unicode(label(column)) if column in LABELS else key_words(column))


def key_words(column: str) -> str:
    """Return the name of a column that has no label: `stop` for optimizer.stop; other names as they are."""
    section, _, key = column.partition(".")
    return key.replace("_", " ") if section in ("data", "network", "optimizer", "train") else column


def optimizer_words(optimizer: Label) -> str:
    """Return the name of an optimizer with its settings: `SAM (stop = 40)`."""
    settings = [unicode(setting(key, value)) for key, value in optimizer.settings.items()]
    return unicode(title(Label(optimizer.name))) + (f" ({', '.join(settings)})" if settings else "")


def symbol(column: str) -> str:
    """Return the last word of a column's label, its symbol where it has one; else the name of the key."""
    last = words(column).rpartition(" ")[2]
    return last if column in LABELS and len(last) <= MOST_OF_A_SYMBOL else column.rpartition(".")[2]


MOST_OF_A_SYMBOL = 5  # letters, as in ‖μ‖ and σ_{p}


def unicode(text: str) -> str:
    """Return a text with its formulas in Unicode, and without the escapes of dollar signs."""
    return FORMULA.sub(lambda formula: _signs(formula[1]), text).replace(r"\$", "$")


def formula(tex: str) -> str:
    """Return a formula of TeX in Unicode, its powers and indices in braces."""
    raised = SINGLE.sub(r"\1{\2}", _signs(ROOT.sub(r"√\1", tex)))
    return raised.replace("-", "−")


def _signs(formula: str) -> str:
    for tex, sign in SIGNS.items():
        formula = formula.replace(tex, sign)
    return formula
