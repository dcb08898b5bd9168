"""What is watched: pure functions of a View, one file a tracker. Each call returns columns, one number a run."""

from featlearn.trackers.deactivation import Deactivation
from featlearn.trackers.decomposition import Decomposition
from featlearn.trackers.loss import Loss
from featlearn.trackers.position import Position
from featlearn.trackers.test_error import TestError

__all__ = ["TRACKERS", "Deactivation", "Decomposition", "Loss", "Position", "TestError"]

TRACKERS: dict[str, type] = {
    "loss": Loss,
    "decomposition": Decomposition,
    "test_error": TestError,
    "deactivation": Deactivation,
    "position": Position,
}
