"""How the numbers of a run were given, according to the latest sweep that contains it.

Numbers identify a run, whatever they were derived from: a signal norm from an snr, a radius from {theory: c}. So each
plan records how its sweep gave them, and the latest plan counts: an axis is complete even if an earlier sweep computed
some of its runs from other settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from featlearn.store.folder import Plan


def as_given(runs: pd.DataFrame, plans: Sequence[Plan]) -> pd.DataFrame:
    """Return one row per run with the columns ``given`` of ``plans``, latest last; plans without any change nothing."""
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
    """Return the columns to overwrite: those of the plan, and the .theory columns of other sweeps."""
    return list(dict.fromkeys([*plan.given, *(str(name) for name in runs if str(name).endswith(".theory"))]))
