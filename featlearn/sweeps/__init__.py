"""A sweep: the grid of a config, simulated in blocks of runs and saved in a store."""

from featlearn.sweeps.checks import SweepError
from featlearn.sweeps.report import SweepInterrupted, SweepReport
from featlearn.sweeps.sweep import sweep

__all__ = ["SweepError", "SweepInterrupted", "SweepReport", "sweep"]
