"""Which runs a sweep has to compute, and which of them are computed together."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import compress

import numpy as np

from featlearn.custom import Source
from featlearn.runs import RunConfig
from featlearn.simulation import block_key, lanes

Block = list[RunConfig]


@dataclass(frozen=True)
class Shard:
    """One of ``count`` machines' share of a sweep: every count-th run, so that shards cost about the same."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "i/n"; ValueError unless 1 <= i <= n."""
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise ValueError(f"shard must be i/n with 1 <= i <= n, such as 1/4; found {text!r}")
        return cls(int(index), int(count))


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep in order, by run_id, and masks over them: ``mine`` of this shard, ``todo`` not finished.

    A run that the grid names twice is in neither mask the second time. Only ids are kept, so that the size of a sweep
    is not limited by memory; and ``sources``, what of the runs the user wrote, and ``given``, the columns that say how
    their numbers were given, None where a run has no such number.
    """

    run_ids: np.ndarray
    mine: np.ndarray
    todo: np.ndarray
    sources: frozenset[Source]
    given: dict[str, list[float | None]]

    @classmethod
    def of(cls, runs: Iterable[RunConfig], shard: Shard, finished: Collection[str]) -> Plan:
        """Go through all runs once."""
        own: set[Source] = set()
        given: dict[str, list[float | None]] = {}
        run_ids = np.array([_noted(run, n, own, given).run_id for n, run in enumerate(runs)])
        mine = np.zeros(len(run_ids), dtype=bool)
        mine[np.unique(run_ids, return_index=True)[1]] = True
        mine &= np.arange(len(run_ids)) % shard.count == shard.index - 1
        return cls(run_ids, mine, mine & ~np.isin(run_ids, list(finished)), frozenset(own), given)

    def blocks(self, runs: Iterable[RunConfig], device: str) -> Iterator[Block]:
        """Yield the unfinished ones of the same runs, in blocks."""
        return blocks(compress(runs, self.todo), device)


def _noted(run: RunConfig, n: int, own: set[Source], given: dict[str, list[float | None]]) -> RunConfig:
    """Return the run, the n-th, its sources and how its numbers were given being noted."""
    own |= run.sources
    words = run.given
    for name in (*given, *words):
        column = given.setdefault(name, [])
        column += [None] * (n - len(column))
        if len(column) == n:
            column.append(words.get(name))
    return run


def blocks(runs: Iterable[RunConfig], device: str) -> Iterator[Block]:
    """Collect runs that share a ``block_key`` and yield each block when it is full, the incomplete ones at the end.

    How many fill a block depends on the device.
    """
    waiting: dict[Hashable, Block] = {}
    for run in runs:
        key = block_key(run)
        block = waiting.setdefault(key, [])
        block.append(run)
        if len(block) == lanes(run, device):
            yield waiting.pop(key)
    yield from waiting.values()
