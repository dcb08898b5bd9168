"""Which runs a sweep has to compute, and how they form blocks."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from featlearn.custom import Source
from featlearn.runs import RunConfig
from featlearn.simulation import PATHS, block_key, lanes

Block = list[RunConfig]
MOST_DIGITS = 9  # of the number of shards
LITTLE = 2048  # runs of a landscape whose calls take as long as those of fewer


@dataclass(frozen=True)
class Shard:
    """The share of one of ``count`` machines: every count-th run, so that shards cost about the same."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "i/n"; ValueError unless 1 <= i <= n."""
        index, slash, count = text.partition("/")
        digits = index.isdecimal() and count.isdecimal() and text.isascii() and len(count) <= MOST_DIGITS
        if not (slash and digits and 1 <= int(index) <= int(count)):
            raise ValueError(f"shard must be i/n with 1 <= i <= n, such as 1/4; found {text[:40]!r}")
        return cls(int(index), int(count))


@dataclass(frozen=True)
class Plan:
    """The run_ids of a sweep in order, and masks over them: ``mine`` of this shard, ``todo`` unfinished ones of these.

    The masks exclude repetitions of a run. Only ids are kept, so that memory does not limit the size of a sweep.
    sources: user-defined classes of the runs. given: the columns that record how numbers were given, None for a run
    without such a number.
    """

    run_ids: np.ndarray
    mine: np.ndarray
    todo: np.ndarray
    sources: frozenset[Source]
    given: dict[str, list[float | None]]

    @classmethod
    def of(cls, runs: Iterable[RunConfig], shard: Shard, finished: Collection[str]) -> Plan:
        """Build the plan in one pass over the runs."""
        own: set[Source] = set()
        given: dict[str, list[float | None]] = {}
        run_ids = np.array([_collect(run, n, own, given).run_id for n, run in enumerate(runs)])
        mine = np.zeros(len(run_ids), dtype=bool)
        mine[np.unique(run_ids, return_index=True)[1]] = True
        mine &= np.arange(len(run_ids)) % shard.count == shard.index - 1
        return cls(run_ids, mine, mine & ~np.isin(run_ids, list(finished)), frozenset(own), given)

    def among(self, run_ids: Collection[str]) -> Plan:
        """Return the plan with these as the unfinished runs."""
        return replace(self, todo=self.mine & np.isin(self.run_ids, list(run_ids)))

    def blocks(self, runs: Iterable[RunConfig], device: str, jobs: int = 1) -> Iterator[Block]:
        """Yield the unfinished ones of ``runs``, in blocks of about equal size for so many jobs."""
        return blocks(compress(runs, self.todo), device, share(int(self.todo.sum()), jobs))


def _collect(run: RunConfig, n: int, own: set[Source], given: dict[str, list[float | None]]) -> RunConfig:
    """Add the sources and ``given`` of the n-th run to the columns; return the run."""
    own |= run.setting.sources
    words = run.setting.given
    for name in (*given, *words):
        column = given.setdefault(name, [])
        column += [None] * (n - len(column))
        if len(column) == n:
            column.append(words.get(name))
    return run


def share(n_runs: int, jobs: int) -> int:
    """Return the size of the blocks that busy all jobs equally; not below LITTLE, where smaller blocks take as long."""
    n_blocks = jobs * -(-n_runs // (jobs * PATHS))
    return max(-(-n_runs // max(n_blocks, 1)), LITTLE)


def blocks(runs: Iterable[RunConfig], device: str, most: int = PATHS) -> Iterator[Block]:
    """Group runs by ``block_key``; yield each block when it is full, and the incomplete ones at the end.

    The size of a full block depends on the device; it is at most ``most``.
    """
    waiting: dict[Hashable, Block] = {}
    full: dict[Hashable, int] = {}
    for run in runs:
        key = block_key(run)
        block = waiting.get(key)
        if block is None:
            block = waiting[key] = []
            full[key] = min(lanes(run, device), most)
        block.append(run)
        if len(block) == full[key]:
            yield waiting.pop(key)
    yield from waiting.values()
