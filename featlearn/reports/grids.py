"""Means of cells and differences of optimizers, as arrays over the axes, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featlearn.reports.layout import OPTIMIZER, Layout
from featlearn.reports.moments import Moment
from featlearn.reports.numbers import rounded
from featlearn.tables.columns import tracked
from featlearn.tables.intervals import SHARES
from featlearn.tables.means import cell_means
from featlearn.tables.pairs import difference_grid, paired_difference

FIRST = (
    *("test_error", "test_error_true", "test_loss", "train_loss", "train_error"),
    *("signal_coef_mean", "noise_coef_pos_mean", "signal_coef_max", "noise_coef_pos_max"),
    *("sharpness", "noise_deactivated", "signal_kept"),
)
MOST_NUMBERS = 40_000  # cells times optimizers times quantities, for a page of a few megabytes
FEWEST = 4  # quantities that are shown whatever the number of cells
ALL_PAIRS = 4  # optimizers of which every pair is compared; of more, the first with each other one
WHOLE = "all"  # the only cell of a sweep without axes


def quantities(layout: Layout) -> tuple[list[str], list[str]]:
    """Return the recorded quantities that are shown, the most asked for first, and those that are left out."""
    runs = layout.runs
    known = [c for c in tracked(runs) if c != "test_error_se" and runs[c].notna().any() and c != OPTIMIZER]
    if {"test_error", "test_error_true"} <= {*known} and runs["test_error_true"].equals(runs["test_error"]):
        known.remove("test_error_true")  # no label is flipped
    known.sort(key=lambda c: (FIRST.index(c) if c in FIRST else len(FIRST), c))
    most = max(FEWEST, MOST_NUMBERS // (int(np.prod(layout.sizes)) * len(layout.optimizers)))
    return known[:most], known[most:]


def is_share(column: str) -> bool:
    """Whether a quantity lies between 0 and 1."""
    return column in SHARES or column.startswith("test_error")


def pairs(layout: Layout) -> list[tuple[int, int]]:
    """Return which optimizers are compared, by their numbers: those that have the same axes."""
    n = len(layout.optimizers)
    all_pairs = [*combinations(range(n), 2)] if n <= ALL_PAIRS else [(0, i) for i in range(1, n)]
    groups = [{*optimizers} for _, optimizers in layout.groups()]
    return [pair for pair in all_pairs if any({layout.optimizers[i] for i in pair} <= group for group in groups)]


def means(layout: Layout, moment: Moment, value: str) -> list[dict[str, Any]]:
    """Return for every optimizer its means over the axes: mean, half (of the 95 % interval), n, diverged, failed."""
    made: dict[str, dict[str, Any]] = {}
    for keys, optimizers in layout.groups():
        runs = moment.runs[moment.runs[OPTIMIZER].isin(optimizers)]
        table = cell_means(runs[["status", "seed", OPTIMIZER, *keys, value]], [*keys, OPTIMIZER], value)
        for optimizer in optimizers:
            cells = table[table[OPTIMIZER] == optimizer]
            made[optimizer] = _grid(layout, cells, keys, ("n", "diverged", "failed")) if len(cells) else {}
    return [made[optimizer] for optimizer in layout.optimizers]


def differences(layout: Layout, moment: Moment, value: str) -> list[dict[str, Any]]:
    """Return for every pair of optimizers the first minus the second, paired by seed; empty where none can be."""
    return [_difference(layout, moment, value, *pair) for pair in pairs(layout)]


def _difference(layout: Layout, moment: Moment, value: str, first: int, second: int) -> dict[str, Any]:
    names = [layout.optimizers[i] for i in (first, second)]
    keys = next(keys for keys, optimizers in layout.groups() if names[0] in optimizers)
    runs = moment.runs[moment.runs[OPTIMIZER].isin(names)]
    slim = runs[["seed", "status", OPTIMIZER, *keys, value]].assign(**{WHOLE: 0})
    with suppress(ValueError):  # no two runs share data and seed
        pairs = paired_difference(slim, value, OPTIMIZER, names[0], names[1], keys=[*keys, WHOLE])
        return _grid(layout, difference_grid(pairs, keys or [WHOLE]), keys, ("n", "dropped"))
    return {}


def _grid(layout: Layout, table: pd.DataFrame, keys: list[str], counts: Iterable[str]) -> dict[str, Any]:
    half = table.assign(half=table["high"] - table["mean"])
    digits = {"mean": 4, "half": 3}
    grid: dict[str, Any] = {name: rounded(layout.dense(half, keys, name), n) for name, n in digits.items()}
    return grid | {name: _counts(layout.dense(table, keys, name)) for name in counts}


def _counts(numbers: NDArray[np.float64]) -> int | list[int]:
    """Return counts over the axes, one number if they are all the same."""
    whole = np.nan_to_num(numbers).astype(int).ravel()
    return int(whole[0]) if (whole == whole[0]).all() else whole.tolist()
