"""A sweep: the grid of a config, cut into blocks that are simulated together, and kept in a store."""

from featlearn.sweeps.checks import SweepError
from featlearn.sweeps.report import SweepInterrupted, SweepReport
from featlearn.sweeps.sweep import sweep

__all__ = ["SweepError", "SweepInterrupted", "SweepReport", "sweep"]
