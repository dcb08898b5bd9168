"""A user's data model in fifteen lines: two strengths of one signal, beside noise."""

from dataclasses import dataclass

from featlearn.data import FreshPatch, FromPopulation, Kind


@dataclass(frozen=True, kw_only=True)
class MixedMargins(FromPopulation):
    """Most samples show the signal in full, the others a fraction of it; a second patch holds noise."""

    signal_norm: float = 5.0
    fraction: float = 0.2
    small_share: float = 0.25

    def population(self):
        noise = FreshPatch(noise=0, std=self.noise_std)
        sizes = ("full", 1 - self.small_share, 1.0), ("small", self.small_share, self.fraction)
        return tuple(
            Kind(name, share / 2, sign, (FreshPatch(((0, sign * size * self.signal_norm),)), noise))
            for name, share, size in sizes
            for sign in (1.0, -1.0)
        )
