"""Finding columns by name and rows by value, for the store and the tables.

Messages write a number with six digits, or with as many more as distinguish the values of its column. A number copied
from a message into a condition selects the value that it was written for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FEWEST, MOST = 6, 17  # digits of a number in a message; 17 distinguish any two floats
FEWEST_LETTERS, MOST_NEAR = 3, 3  # of a name that is sought inside others, and how many of these are named
NO_TEXT = ("null", "true", "false", "True", "False")  # what a condition does not read as text
HEAD = ("run_id", "step", "status", "stopped_step", "message", "name", "seed", "engine", "sampling", "dtype")
MOST_THERE = 20  # columns listed where none is near
SAME = 1e-9  # relative tolerance for equal numbers: they may have been computed differently


def require_names(known: Iterable[Any], names: Iterable[str]) -> None:
    """Raise ValueError for the first of ``names`` that is not ``known``, with those that may be meant."""
    there = [str(name) for name in known]
    for name in map(str, names):
        if name not in there:
            near = _near(name, there)
            meant = " or ".join(filter(None, [", ".join(map(repr, near[:-1])), *map(repr, near[-1:])]))
            raise ValueError(f"no column {name!r}" + (f"; did you mean {meant}?" if near else _there(name, there)))


def _there(name: str, there: Collection[str]) -> str:
    """Return the columns among which a name without a likely one may be: of its section, or those of trackers."""
    section, dot, _ = name.partition(".")
    found = [c for c in there if (c.startswith(f"{section}.") if dot else "." not in c and c not in HEAD)]
    return f"; there are {', '.join(found[:MOST_THERE])}" + ", ..." * (len(found) > MOST_THERE) if found else ""


def _near(name: str, there: Collection[str]) -> list[str]:
    """Return what may be meant by a name: a key of a section, columns that contain it, else the one most alike."""
    ends = [other for other in there if other.endswith(f".{name}")]  # dim means data.dim
    inside = [*ends, *(other for other in there if other in (f"{name}.name", f"{name}.model"))]
    part = [other for other in there if "." not in other and name in other] if len(name) >= FEWEST_LETTERS else []
    return [*inside[:1], *part[:MOST_NEAR]] or get_close_matches(name, there, n=1)


def selected(df: pd.DataFrame, where: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return which rows have, in every column of ``where``, the value given there or one of the values listed there.

    None matches a missing value; an empty table has no rows to match. Numbers match to nine digits, or as a message
    writes them. Raises ValueError, listing the existing values, for an unknown column or value, for a number that
    abbreviates several, and if no row meets all conditions.
    """
    require_names(df.columns, where)
    keep = np.ones(len(df), dtype=bool)
    for column, wanted in where.items() if len(df) else ():
        keep &= _matches(df[column], column, wanted)
    if len(df) and not keep.any():
        conditions = " and ".join(f"{column} = {_shown(wanted)}" for column, wanted in where.items())
        raise ValueError(f"no row has {conditions}: each occurs, but not together")
    return keep


def listed(column: pd.Series[Any], most: int = 6) -> str:
    """Write the first few distinct values of a column; text with a comma is quoted."""
    values = [
        json.dumps(v, ensure_ascii=False) if _is_split(v) else v for v in spelled(column.drop_duplicates().tolist())
    ]
    return ", ".join(values[:most]) + (", ..." if len(values) > most else "")


def spelled(values: Collection[Any]) -> list[str]:
    """Write values, all floats with the fewest digits, at least six, that distinguish them; a missing one as null.

    Text that reads like another value, or like a value that is no text, is quoted.
    """
    values = [None if missing(value) else value for value in values]
    floats = {value for value in values if isinstance(value, float)}
    for digits in range(FEWEST, MOST + 1):
        texts = {value: f"{value:.{digits}g}" for value in floats}
        if len({*texts.values()}) == len(floats):
            break
    words = ["null" if v is None else texts[v] if isinstance(v, float) else str(v) for v in values]
    others = {*NO_TEXT, *(word for value, word in zip(values, words, strict=True) if not isinstance(value, str))}
    return [f'"{w}"' if isinstance(v, str) and w in others else w for v, w in zip(values, words, strict=True)]


def _matches(column: pd.Series[Any], name: str, wanted: Any) -> NDArray[np.bool_]:
    """Return which values of a column are wanted."""
    if column.dtype == object and any(isinstance(value, list | np.ndarray) for value in column):
        raise ValueError(f"{name} holds lists, which conditions cannot select by")
    distinct: list[Any] = column.drop_duplicates().dropna().tolist()
    keep = np.zeros(len(column), dtype=bool)
    for item in _alternatives(wanted, distinct):
        found = column.isna() if missing(item) else column.isin(_equal(distinct, name, item))
        if not found.any():
            raise ValueError(f"no row has {name} = {_shown(item)}; it takes {listed(column)}")
        keep |= found.to_numpy(dtype=bool)
    return keep


def _alternatives(wanted: Any, distinct: list[Any]) -> list[Any]:
    """Return the wanted values as plain Python; if the column has a list as a value, the list is one of them.

    Otherwise nested lists are flattened.
    """
    if not isinstance(wanted, list | tuple | set | frozenset | range | np.ndarray | pd.Series | pd.Index):
        return [wanted.item() if isinstance(wanted, np.generic) else wanted]
    items = [item.item() if isinstance(item, np.generic) else item for item in wanted]
    if any(_read_alike(text, items) for text in distinct):
        return [items]
    lists = any(_is_list(text) for text in distinct)
    return items if lists else [part for item in items for part in (item if isinstance(item, list) else [item])]


def _equal(distinct: list[Any], name: str, item: Any) -> list[Any]:
    """Return the values that ``item`` matches; ValueError if a number is the rounding of several."""
    if exact := [value for value in distinct if _one(value, item)]:
        return exact
    if not _is_number(item):
        return []
    if written := [value for value, text in zip(distinct, spelled(distinct), strict=True) if _reads(text, item)]:
        return written
    near = [value for value in distinct if isinstance(value, float) and _rounds_to(value, float(item))]
    if any(not _one(value, near[0]) for value in near):
        raise ValueError(f"{name} = {item!r} abbreviates several values: {', '.join(spelled(near))}")
    return near


def _one(value: Any, item: Any) -> bool:
    """Whether two values are equal."""
    if _is_number(value) and _is_number(item):
        whole = isinstance(value, int) and isinstance(item, int)
        return bool(value == item) if whole else math.isclose(value, item, rel_tol=SAME)
    if isinstance(item, list | dict):
        return _read_alike(value, item)
    return isinstance(value, bool) == isinstance(item, bool) and bool(value == item)


def missing(value: Any) -> bool:
    """Whether a value is missing; a list is not."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_split(word: str) -> bool:
    """Whether a condition would read this text as several values."""
    return "," in word and word[:1] not in ("[", "{", '"')


def _reads(text: str, item: float) -> bool:
    """Whether a text of a column reads as this number."""
    try:
        return float(text) == item
    except ValueError:
        return False


def _rounds_to(value: float, item: float) -> bool:
    return any(float(f"{value:.{digits}g}") == item for digits in range(FEWEST, MOST + 1))


def _is_list(text: Any) -> bool:
    """Whether a value may be the text of a list or a mapping."""
    return isinstance(text, str) and text[:1] in ("[", "{")


def _read_alike(text: Any, item: Any) -> bool:
    """Whether a text is the JSON of a list or mapping equal to ``item``."""
    if not _is_list(text):
        return False
    try:
        return bool(json.loads(text) == item)
    except ValueError:
        return False


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)
