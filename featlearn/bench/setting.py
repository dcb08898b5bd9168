"""The sizes and repetitions of the measurements."""

from __future__ import annotations

from dataclasses import dataclass, replace

from featlearn.devices import chosen_device


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Sizes to measure at; one is varied, the others stay at d = 20000, n = 20, m = 10 and a full block.

    repeats: rounds of a measurement. n_steps: training steps of a network. against: dimensions at which the explicit
    loop is measured too. million: networks of the large sweep. paths: of an SDE.
    """

    device: str = "cpu"
    repeats: int = 5
    n_steps: int = 100
    against: tuple[int, ...] = (1000, 5000, 20_000)
    dims: tuple[int, ...] = (10**3, 10**4, 10**5, 10**6, 10**8, 10**10, 10**12)
    n_samples: tuple[int, ...] = (10, 20, 50, 100, 200, 500)
    n_filters: tuple[int, ...] = (5, 10, 20, 50, 100, 200)
    blocks: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    million: int = 10_240
    paths: int = 10_000

    @classmethod
    def on(cls, device: str, *, quick: bool = False) -> Setting:
        """Return the setting for a device (auto: CUDA if there is one)."""
        full = cls()
        if chosen_device(device) == "cuda":
            full = cls(device="cuda", blocks=(1024, 4096, 16_384, 65_536), million=10**6)
        return full.shortened() if quick else full

    def shortened(self) -> Setting:
        """Return a setting with few sizes and two rounds."""
        few = replace(self, repeats=2, against=(1000,), dims=(10**3, 10**12), n_samples=(10, 20), n_filters=(5, 10))
        return replace(few, blocks=self.blocks[1::2], million=self.million // 20, paths=self.paths // 5)
