"""What the network is shown: one file a data model."""

from featlearn.data.signal_noise import Labels, SignalNoise

DATA = {"signal_noise": SignalNoise}

__all__ = ["DATA", "Labels", "SignalNoise"]
