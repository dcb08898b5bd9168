"""How the numbers of a run were given, in the words of the latest sweep that asks for it.

A run is known by its numbers, and found again whatever they follow from: a signal norm from an snr, a radius from
{theory: c}. So a plan notes these words, and what is read has the latest: an axis of a sweep is whole, also where an
earlier sweep has computed some of its runs from other words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from featlearn.store.folder import Plan


def as_given(runs: pd.DataFrame, plans: Sequence[Plan]) -> pd.DataFrame:
    """Return one row a run with the numbers of ``plans``, the latest last; plans that note none change nothing."""
    for plan in plans:
        if not plan.given:
            continue
        at = pd.DataFrame(dict(plan.given), index=plan.run_ids).reindex(columns=_names(runs, plan))
        at = at[~at.index.duplicated()]
        asked = runs["run_id"].isin(at.index)
        for name in at:
            old = runs.get(name, pd.Series(np.nan, runs.index))
            runs = runs.assign(**{str(name): old.mask(asked, runs["run_id"].map(at[name]))})
    return runs


def _names(runs: pd.DataFrame, plan: Plan) -> list[str]:
    """Return the columns of such words: those that a plan notes, and those that other sweeps have left."""
    return list(dict.fromkeys([*plan.given, *(str(name) for name in runs if str(name).endswith(".theory"))]))
