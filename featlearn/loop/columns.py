"""The recorded columns of a block."""

from __future__ import annotations

from collections.abc import Callable
from inspect import getattr_static
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featlearn.optim.answers import AnswerError
from featlearn.types import reserved

Tracker = Callable[..., Any]
LARGEST = 2**53  # float64, the type in the store, represents all integers up to this one


class Columns:
    """The columns that the trackers return at every record; NaN where a record lacks a column."""

    def __init__(self) -> None:
        self._rows: list[dict[str, np.ndarray]] = []
        self._writers: dict[str, Tracker] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def add(self, answers: list[tuple[Tracker, dict[str, Tensor]]]) -> None:
        """Add a record. Raises AnswerError for a name in use, and for a shape that changes."""
        row: dict[str, np.ndarray] = {}
        for tracker, columns in answers:
            for name, column in columns.items():
                self._claim(name, tracker)
                row[name] = _array(tracker, name, column)
                shape = self._shapes.setdefault(name, row[name].shape)
                if row[name].shape != shape:
                    expected, found = f"{name!r} in one shape at every record", f"{row[name].shape} after {shape}"
                    raise AnswerError(_call(tracker), expected, found)
        self._rows.append(row)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return column -> [b, r], list columns [b, r, length], in the order in which they were first written."""
        return {name: np.stack([self._at(row, name) for row in self._rows], 1) for name in self._shapes}

    def _at(self, row: dict[str, np.ndarray], name: str) -> np.ndarray:
        return row[name] if name in row else np.full(self._shapes[name], np.nan)

    def _claim(self, name: str, tracker: Tracker) -> None:
        """Refuse the name of a column of every run, of a key of a config, or of another tracker's column."""
        writer = self._writers.setdefault(name, tracker)
        if reserved(name):
            raise AnswerError(_call(tracker), "columns of other names than those of a run and its config", repr(name))
        if writer is not tracker:
            taken = f"{name!r}, which {type(writer).__qualname__} writes too"
            raise AnswerError(_call(tracker), "columns that no other tracker of the run writes", taken)


def _array(tracker: Tracker, name: str, column: Tensor) -> np.ndarray:
    """Return a column on the host, in a type that numpy supports."""
    short = column.is_floating_point() and column.dtype not in (torch.float32, torch.float64)
    array: np.ndarray = column.detach().to(torch.float64 if short else column.dtype).cpu().numpy()
    if array.dtype.kind == "i" and ((array > LARGEST) | (array < -LARGEST)).any():
        raise AnswerError(_call(tracker), "integers up to 2**53, which float64 holds", f"larger ones under {name!r}")
    return array


def _call(tracker: Tracker) -> Callable[..., Any]:
    """Return the method of a tracker, for an error to name its file and line."""
    method: Callable[..., Any] = getattr_static(type(tracker), "__call__")
    return method
