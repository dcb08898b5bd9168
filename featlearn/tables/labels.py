"""Names of optimizers and cells: a name and settings, which are kept as they are and joined only to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from featlearn.lookup import missing, spelled


class Label(str):
    """A name and the settings that tell it from others, such as `sam rho=0.03 stop=40`.

    It reads, compares and sorts as these words. `settings` maps the keys to the words of their values.
    """

    name: str
    settings: dict[str, str]

    def __new__(cls, name: str, settings: dict[str, str] | None = None) -> Label:
        """Join the name and its settings."""
        label = super().__new__(cls, " ".join([name, *(f"{key}={text}" for key, text in (settings or {}).items())]))
        label.name, label.settings = name, settings or {}
        return label


def labels(df: pd.DataFrame, name: str, columns: Sequence[str]) -> list[Label]:
    """Return the label of every row: the words of column `name`, with the settings in `columns` that are there.

    Of a value that is given as `{theory: c}` it is c that is spelled, as `rho.theory`.
    """
    words = [texts(df[column]) for column in (name, *columns)]
    keys = [column.removeprefix("optimizer.") for column in columns]
    made: dict[tuple[Any, ...], Label] = {}
    for row in (rows := list(zip(*words, strict=True))):
        if row not in made:
            there = {key: text for key, text in zip(keys, row[1:], strict=True) if text is not None}
            made[row] = Label(str(row[0]), {k: v for k, v in there.items() if f"{k}.theory" not in there})
    return [made[row] for row in rows]


def texts(column: pd.Series[Any]) -> list[str | None]:
    """Spell every value of a column, None where it is missing; floats in the fewest digits that tell them apart."""
    distinct = column.drop_duplicates().tolist()
    words = dict(zip(distinct, spelled(distinct), strict=True))
    return [None if missing(value) else words[value] for value in column.tolist()]
