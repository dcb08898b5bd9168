"""What a figure owes its reader in words: how many seeds, trained how far, and what every mark means."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from featlearn.plots.style import GREY
from featlearn.tables.columns import counted


def caption(figure: Figure, sentences: list[str]) -> Text:
    """Write sentences below a figure, wrapped to its width, and return them; empty ones are left out."""
    text = " ".join(s for s in sentences if s)
    words = figure.supxlabel("", x=0.02, ha="left", fontsize=7.5, color=GREY)
    for letters in range(int(21 * figure.get_figwidth()), 20, -2):
        words.set_text(textwrap.fill(text, letters, break_on_hyphens=False))
        if words.get_window_extent().width < 0.96 * figure.bbox.width:
            break
    return words


def seeds(n: pd.Series[int], word: str = "seed") -> str:
    """Say over how many seeds (or pairs) the means go, from the counts of the cells that have one."""
    if not n.any():
        return f"no {word}"
    low, high = int(n[n > 0].min()), int(n.max())
    return f"{low} to {high} {word}s" if low < high else f"{high} {word}{'s' * (high > 1)}"


def loss_range(runs: pd.DataFrame) -> str:
    """Say between which train losses the counted runs ended, for a comparison is fair only at equal ones."""
    if "train_loss" not in runs or counted(runs)["train_loss"].isna().all():
        return ""
    low, high = (f"{end:.2g}" for end in counted(runs)["train_loss"].agg(["min", "max"]))
    return f"Final train losses of single runs: {low if low == high else f'{low} to {high}'}."
