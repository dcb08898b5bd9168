"""Recorded quantities: pure functions of a View, one file per tracker. Each call returns columns: name -> tensor [b] or
[b, length] of real numbers. A column that a call leaves out is NaN at that record. No column may have the name of a
column of every run (step, seed, ...), of a section or key of a config, or of another tracker's column.
"""

from featlearn.trackers.average_sharpness import AverageSharpness
from featlearn.trackers.deactivation import Deactivation
from featlearn.trackers.decomposition import Decomposition
from featlearn.trackers.edges import SamEdge, StabilityEdge
from featlearn.trackers.grad_alignment import GradAlignment
from featlearn.trackers.gradient_noise import GradientCovariance
from featlearn.trackers.hessian_trace import HessianTrace
from featlearn.trackers.loss import Loss
from featlearn.trackers.m_sharpness import MSharpness
from featlearn.trackers.population_error import TestError
from featlearn.trackers.position import Position
from featlearn.trackers.sharpness import Sharpness

__all__ = [
    "TRACKERS",
    "AverageSharpness",
    "Deactivation",
    "Decomposition",
    "GradAlignment",
    "GradientCovariance",
    "HessianTrace",
    "Loss",
    "MSharpness",
    "Position",
    "SamEdge",
    "Sharpness",
    "StabilityEdge",
    "TestError",
]

TRACKERS: dict[str, type] = {
    "loss": Loss,
    "decomposition": Decomposition,
    "test_error": TestError,
    "deactivation": Deactivation,
    "position": Position,
    "sharpness": Sharpness,
    "hessian_trace": HessianTrace,
    "stability_edge": StabilityEdge,
    "sam_edge": SamEdge,
    "grad_alignment": GradAlignment,
    "gradient_covariance": GradientCovariance,
    "m_sharpness": MSharpness,
    "average_sharpness": AverageSharpness,
}
