"""The files of a store: parts/<order>-<digest>.parquet, plans/<order>-<hash>-<digest>.parquet.

order: a number that grows from file to file. It is the time (ns), or one more than the largest order in the store if
the clock is behind that: so the latest file is the one written last, whatever the clock. Digests are those of
parquet.py, hashes those of a plan's runs. Older versions wrote parts with eight random digits, and plans without order.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from featlearn.store.files import Damage, StoreError

T = TypeVar("T")
PARTS, PLANS = "parts", "plans"
PATTERNS = {
    PARTS: re.compile(r"(?P<order>[0-9]{1,19})-(?P<hash>)(?:[0-9a-f]{8}|[0-9a-f]{16})\.parquet"),
    PLANS: re.compile(r"(?:(?P<order>[0-9]{1,19})-)?(?P<hash>[0-9a-f]{16})(?:-[0-9a-f]{16})?\.parquet"),
}
FOREIGN = {PARTS: "its name is not that of a part", PLANS: "its name is not that of a plan"}
LARGEST = 2**63 - 1  # what an order, in a column, can be
TRIES = 20


@dataclass(frozen=True, order=True)
class Entry:
    """A file by its name; order: None in plans of older versions. hash: of the runs of a plan, empty for parts."""

    order: int | None
    path: Path
    hash: str


def entries(store: Path, kind: str) -> tuple[list[Entry], list[Damage]]:
    """Return the files of a kind by order, and those with foreign names; other files than Parquet's are ignored."""
    found, foreign = [], []
    for name in _names(store / kind):
        matched = PATTERNS[kind].fullmatch(name)
        order = int(matched["order"]) if matched and matched["order"] else None
        if matched and (order or 0) <= LARGEST:
            found.append(Entry(order, store / kind / name, matched["hash"]))
        elif name.endswith(".parquet") and not name.startswith("."):
            foreign.append(Damage(store / kind / name, FOREIGN[kind]))
    return sorted(found, key=lambda entry: (entry.order or 0, entry.path)), foreign


def read_each(
    store: Path, kind: str, read: Callable[[Entry], T], known: Mapping[Path, Damage] = {}
) -> tuple[list[T], list[Damage]]:
    """Return what ``read`` returns for each file, and the damaged files, ``known`` ones among them.

    Raises FileNotFoundError if a file goes meanwhile: see ``steady``.
    """
    listed, damaged = entries(store, kind)
    found = []
    for entry in listed:
        try:
            if entry.path in known:
                raise known[entry.path]
            found.append(read(entry))
        except Damage as damage:
            damaged.append(damage)
    return found, damaged


def steady(read: Callable[[dict[Path, Damage]], T]) -> T:
    """Return what ``read`` returns, which is called again when files were joined with others meanwhile.

    It is also called again after a Damage, which it finds in its argument then.
    """
    known: dict[Path, Damage] = {}
    for _ in range(TRIES):
        try:
            while True:
                try:
                    return read(known)
                except Damage as damage:
                    if damage.path in known:
                        raise
                    known[damage.path] = damage
        except FileNotFoundError as error:
            vanished = error.filename
    raise StoreError(f"cannot read {vanished}: it went while it was read, {TRIES} times; try again")


def next_order(last: int) -> int:
    """Return an order above ``last``."""
    return max(time.time_ns(), last + 1)


def _names(folder: Path) -> list[str]:
    """Return the names in a folder once they are the same twice.

    A list is not taken in one moment: it may lack a file that has just appeared and also those that went after that.
    """
    before: list[str] | None = None
    for _ in range(TRIES):
        try:
            now = sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            now = []
        except OSError as error:
            raise StoreError(f"cannot read {folder}: {error.strerror}") from None
        if now == before:
            break
        before = now
    return now
