"""Tables from tables: the results of a sweep, with one row per cell, per pair of runs, or per step.

The input is what `featlearn.load` (one row per run and recorded step) or `featlearn.summary` (one row per
run) returns. A cell is everything in the config but the seed. Runs that end `ok` or `fitted` count; a
diverged one never enters a mean. Nothing is averaged silently: where two runs of one seed would share a
cell, a ValueError names the column in which they differ. Every function raises ValueError, with the
nearest name, for a column that does not exist.
"""

from featlearn.tables.bands import seed_bands
from featlearn.tables.cells import Constant, boundary, fit_constant, phase_grid
from featlearn.tables.columns import (
    by_optimizer,
    cell_columns,
    cell_labels,
    last_rows,
    main_axes,
    optimizer_labels,
    select,
    varying,
)
from featlearn.tables.edge import edge_in_use, edge_ratio, edge_ratio_grid
from featlearn.tables.intervals import Interval, mean_interval
from featlearn.tables.means import cell_means
from featlearn.tables.pairs import difference_grid, paired_difference
from featlearn.tables.scaling import Exponent, Scaling, boundary_exponent, boundary_scaling, fitted
from featlearn.tables.steps import at_step
from featlearn.tables.times import at_train_loss, common_train_loss, half_time, paired_over_steps, seed_quantiles
from featlearn.tables.weak_order import WeakErrors, WeakOrder, weak_errors, weak_order

__all__ = [
    "Constant",
    "Exponent",
    "Interval",
    "Scaling",
    "WeakErrors",
    "WeakOrder",
    "at_step",
    "at_train_loss",
    "boundary",
    "boundary_exponent",
    "boundary_scaling",
    "by_optimizer",
    "cell_columns",
    "cell_labels",
    "cell_means",
    "common_train_loss",
    "difference_grid",
    "edge_in_use",
    "edge_ratio",
    "edge_ratio_grid",
    "fit_constant",
    "fitted",
    "half_time",
    "last_rows",
    "main_axes",
    "mean_interval",
    "optimizer_labels",
    "paired_difference",
    "paired_over_steps",
    "phase_grid",
    "seed_bands",
    "seed_quantiles",
    "select",
    "varying",
    "weak_errors",
    "weak_order",
]
