"""Fresh samples of a data model, grouped for the integral over their noise: kinds with equal noise together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.data.model import FreshPatch, Kind


@dataclass(frozen=True, eq=False)
class Group:
    """Kinds of fresh samples whose patches with noise are the same, as arrays.

    names [K] and labels [K]: of the kinds. probabilities [b, K].
    strengths [b, S, P + Q]: strength of every signal in the P patches without noise, then in the Q patches with noise.
    shown [P, K]: how often a sample of each kind shows a patch without noise. stds [b, Q], numbers [Q] and times [Q]:
    standard deviation, number 0, ..., n_gaussians - 1 and count of the Gaussian in each patch with noise. shifted:
    whether a patch with noise shows a signal.
    """

    names: tuple[str, ...]
    labels: tuple[float, ...]
    probabilities: Tensor
    strengths: Tensor
    shown: Tensor
    stds: Tensor
    numbers: tuple[int, ...]
    times: tuple[int, ...]
    shifted: bool

    @property
    def n_gaussians(self) -> int:
        """Number of fresh Gaussian vectors of a sample."""
        return len(set(self.numbers))


@lru_cache(maxsize=2)  # by the identity of its tensors, which stay the same in a block
def groups(population: tuple[Kind, ...], like: Tensor, n_signals: int) -> tuple[Group, ...]:
    """Return the kinds of a population in groups; ``like`` [b, ...] is a tensor of the block."""
    found: list[list[Kind]] = []
    for kind in population:
        mine = (group for group in found if _same(_noisy(group[0]), _noisy(kind)))
        group = next(mine, None)
        if group is None:
            found.append([kind])
        else:
            group.append(kind)
    return tuple(_group(kinds, like, n_signals) for kinds in found)


def _noisy(kind: Kind) -> list[FreshPatch]:
    return [patch for patch in kind.patches if patch.noise is not None]


def _same(a: Any, b: Any) -> bool:
    """Whether two structures are equal, their tensors entry by entry."""
    import torch

    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if is_dataclass(a):
        return type(a) is type(b) and all(_same(getattr(a, x.name), getattr(b, x.name)) for x in fields(a))
    if isinstance(a, tuple | list):
        return isinstance(b, type(a)) and len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _place(known: list[FreshPatch], patch: FreshPatch) -> int:
    """Return the place among known patches of one that shows the same signals; it is added if there is none."""
    found = next((i for i, other in enumerate(known) if _same(other.signals, patch.signals)), None)
    if found is None:
        known.append(patch)
    return len(known) - 1 if found is None else found


def _group(kinds: Sequence[Kind], like: Tensor, n_signals: int) -> Group:
    import torch

    fixed: list[FreshPatch] = []  # each once: models of many kinds have few patches
    places = [[_place(fixed, p) for p in kind.patches if p.noise is None] for kind in kinds]
    shown = torch.zeros(len(fixed), len(kinds), dtype=torch.float64)
    for number, kind in enumerate(kinds):
        for row, patch in zip(places[number], (p for p in kind.patches if p.noise is None), strict=True):
            shown[row, number] += patch.times
    noisy = _noisy(kinds[0])
    numbers = sorted({patch.noise for patch in noisy if patch.noise is not None})
    return Group(
        names=tuple(kind.name for kind in kinds),
        labels=tuple(float(column(kind.label, like)[0]) for kind in kinds),
        probabilities=columns([kind.probability for kind in kinds], like),
        strengths=_strengths([*fixed, *noisy], like, n_signals),
        shown=shown.to(like.device),
        stds=columns([patch.std for patch in noisy], like),
        numbers=tuple(numbers.index(patch.noise) for patch in noisy if patch.noise is not None),
        times=tuple(patch.times for patch in noisy),
        shifted=any(patch.signals for patch in noisy),
    )


def _strengths(patches: Sequence[FreshPatch], like: Tensor, n_signals: int) -> Tensor:
    """Return the strength of every signal in some patches, [b, S, P]."""
    import torch

    strengths = torch.zeros(len(like), n_signals, len(patches), dtype=torch.float64, device=like.device)
    for place, patch in enumerate(patches):
        for number, strength in patch.signals:
            strengths[:, number, place] += column(strength, like)
    return strengths


def columns(numbers: Sequence[Any], like: Tensor) -> Tensor:
    """Return numbers of a block, each one number or [b], as [b, count] in float64."""
    import torch

    empty = torch.zeros(len(like), 0, dtype=torch.float64, device=like.device)
    return torch.stack([column(x, like) for x in numbers], 1) if numbers else empty


def column(number: Any, like: Tensor) -> Tensor:
    """Return a number of a block, one number or [b], as [b] in float64, on the device of ``like`` [b, ...]."""
    import torch

    return torch.as_tensor(number, dtype=torch.float64, device=like.device).expand(len(like))
