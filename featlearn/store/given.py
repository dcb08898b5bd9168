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
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from featlearn.store.contents import Plan


def as_given(runs: pd.DataFrame, run_ids: pa.Array, plans: Sequence[Plan]) -> pd.DataFrame:
    """Return one row per run, of which ``run_ids`` are the ids, with the columns ``given`` of ``plans``, latest last.

    Plans without any change nothing.
    """
    for plan in plans:
        if not plan.given:
            continue
        places = pc.index_in(run_ids, value_set=plan.run_ids)
        asked, at = places.is_valid().to_numpy(zero_copy_only=False), places.fill_null(0).to_numpy()
        for name in _names(runs, plan):
            given = plan.given[name][at] if name in plan.given else np.full(len(runs), np.nan)
            old = runs.get(name, pd.Series(np.nan, runs.index))
            runs = runs.assign(**{name: pd.Series(given, runs.index) if asked.all() else old.mask(asked, given)})
    return runs


def _names(runs: pd.DataFrame, plan: Plan) -> list[str]:
    """Return the columns to overwrite: those of the plan, and the .theory columns of other sweeps."""
    return list(dict.fromkeys([*plan.given, *(str(name) for name in runs if str(name).endswith(".theory"))]))
