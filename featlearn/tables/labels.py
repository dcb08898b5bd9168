"""Names of optimizers and cells: a name and settings, kept apart and joined only as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from featlearn.lookup import missing, spelled
from featlearn.tables.continuous import parted


class Label(str):
    """A name and the settings that distinguish it, such as `sam rho=0.03 stop=40`.

    It compares and sorts as this text. `settings` maps the keys to the texts of their values. The name of a flow or an
    SDE ends with that word.
    """

    name: str
    settings: dict[str, str]

    def __new__(cls, name: str, settings: dict[str, str] | None = None) -> Label:
        """Join the name and its settings."""
        label = super().__new__(cls, " ".join([name, *(f"{key}={text}" for key, text in (settings or {}).items())]))
        label.name, label.settings = name, settings or {}
        return label

    @property
    def rule(self) -> str:
        """Return the name of the rule: `sam` for `sam sde`."""
        return parted(self.name)[0]

    @property
    def dynamics(self) -> str:
        """Return `rule`, `flow` or `sde`."""
        return parted(self.name)[1]


def labels(df: pd.DataFrame, names: pd.Series[str], columns: Sequence[str]) -> list[Label]:
    """Return the label of every row: its name, with the settings in `columns` that are not missing.

    A value that is given as `{theory: c}` is written by its c, as `rho.theory`.
    """
    words = [texts(names), *(texts(df[column]) for column in columns)]
    keys = [column.removeprefix("optimizer.") for column in columns]
    made: dict[tuple[Any, ...], Label] = {}
    for row in (rows := list(zip(*words, strict=True))):
        if row not in made:
            there = {key: text for key, text in zip(keys, row[1:], strict=True) if text is not None}
            made[row] = Label(str(row[0]), {k: v for k, v in there.items() if f"{k}.theory" not in there})
    return [made[row] for row in rows]


def texts(column: pd.Series[Any]) -> list[str | None]:
    """Return every value of a column as text, None where it is missing; floats in the fewest digits that differ."""
    distinct = column.drop_duplicates().tolist()
    words = dict(zip(distinct, spelled(distinct), strict=True))
    return [None if missing(value) else words[value] for value in column.tolist()]
