"""Shared by models whose samples have a signal in one patch and noise in the P - 1 others."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from featlearn.data.model import Kind
from featlearn.data.signal_patches import SignalPatches


class OneSignal(SignalPatches):
    """A sample has one of the ``n_common`` signal patches, and noise patches, shared or independent.

    signal_norm is the norm of a signal, given or from snr = signal_norm / (noise_std sqrt(dim)).
    """

    signal_norm: float | None
    snr: float | None

    @property
    def strength(self) -> float:
        """Norm of the signal, also where the config gave the snr.

        Raises ValueError unless exactly one of signal_norm and snr was given.
        """
        if (self.signal_norm is None) == (self.snr is None):
            raise ValueError(
                "give exactly one of signal_norm and snr; where one is inherited or swept, set the other to null"
            )
        if self.signal_norm is not None:
            return self.signal_norm
        assert self.snr is not None
        return self.snr * self.noise_std * math.sqrt(self.dim)

    def derived(self) -> dict[str, Any]:
        """Return both signal_norm and snr, whichever was given; both identify a run."""
        return {"signal_norm": self.strength, "snr": float(self.strength / (self.noise_std * math.sqrt(self.dim)))}

    def kinds(self, signals: Iterable[tuple[str, float, int, float]]) -> tuple[Kind, ...]:
        """Return equally probable kinds of fresh samples, from name, label, signal number and strength."""
        signals = list(signals)
        return tuple(
            self.kind(name, 1 / len(signals), label, [(number, strength)]) for name, label, number, strength in signals
        )
