"""The columns of a sweep: which of them vary, and which rows belong to a cell or an optimizer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from featlearn.lookup import listed as listed  # the other tables and the figures take it from here
from featlearn.lookup import require_names, selected
from featlearn.tables.continuous import DYNAMICS, OWN, optimizer_names
from featlearn.tables.dtypes import plain
from featlearn.tables.labels import Label, labels

COUNTED = ("ok", "fitted")
TOP = ("seed", "engine", "sampling", "dtype")
SIGNALS = ("data.signal_norm", "data.snr")  # one follows from the other, at a given dimension and noise
FOLLOWING = ("network.init_std", "train.batch_size", *SIGNALS, *OWN)  # left to a default, to another name, to dynamics
ROUNDING = 1e-12  # relative: values closer than that are one, computed along several ways
SECTIONS = ("data.", "network.", "optimizer.", "train.")


def require(df: pd.DataFrame, columns: Iterable[str]) -> None:
    """Raise ValueError for the first of `columns` that the table lacks, with the nearest name."""
    require_names(df.columns, columns)


def config_columns(df: pd.DataFrame) -> list[str]:
    """Return the columns of a run's config: its seed, its engine, and the dotted keys."""
    return [column for column in df.columns if column in TOP or column.startswith(SECTIONS)]


def tracked(df: pd.DataFrame) -> list[str]:
    """Return the columns of numbers that trackers wrote."""
    df = plain(df)
    known = {"run_id", "step", "status", "stopped_step", "message", "name", *config_columns(df)}
    return [str(column) for column in df if column not in known and pd.api.types.is_numeric_dtype(df[column])]


def varying(df: pd.DataFrame) -> list[str]:
    """Return the config columns that take more than one value; missing counts as a value."""
    df = plain(df)
    return [column for column in config_columns(df) if df[column].nunique(dropna=False) > 1]


def counted(df: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of runs that enter a mean."""
    return df[df["status"].isin(COUNTED)]


def last_rows(df: pd.DataFrame) -> pd.DataFrame:
    """Return the row of every run's last recorded step, as `featlearn.summary` does."""
    require(df, ["run_id", "step"])
    df = plain(df)
    return df.sort_values("step", kind="stable").drop_duplicates("run_id", keep="last").sort_index()


def select(df: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows that have, in every column of `where`, the value given there, or one of several in a list.

    None stands for a missing value. Numbers agree to nine digits, or as messages spell them. Raises ValueError, listing
    the values there are, for a value that no row has, and where no row is left.
    """
    df = plain(df)
    return df[selected(df, where)]


def optimizer_labels(df: pd.DataFrame, ignore: Sequence[str] = ()) -> pd.Series[str]:
    """Return a name for every row's optimizer: `sgd`, or `sam rho=0.03` where several sam meet in one cell.

    The flow and the SDE of a rule are optimizers of their own, `sam flow` and `sam sde`.
    A label holds only the settings in which optimizers of one name differ within a cell, so a radius that follows
    the dimension adds nothing; a radius given as `{theory: c}` is written by its c, `sam rho.theory=1`.
    Columns in `ignore` are axes and count as part of the cell, and so do the constant of theory and the number that
    follows from it, whichever of the two is an axis.
    """
    return pd.Series(_of_optimizers(plain(df), ignore), index=df.index, name="optimizer", dtype="str")


def _of_optimizers(df: pd.DataFrame, ignore: Sequence[str], by: Sequence[str] = ()) -> list[Label]:
    """Return the label of every row's optimizer, with the values of the columns `by`."""
    require(df, ["run_id", "optimizer.name", *by])
    if wrong := {*by} & {"optimizer.name", DYNAMICS, *ignore}:
        raise ValueError(f"{min(wrong)} has lines or panels of its own, or is an axis: choose another column `by`")
    ignore = [*ignore, *by]
    ignore = [name for c in ignore for name in (c.removesuffix(".theory"), f"{c.removesuffix('.theory')}.theory")]
    runs = df.drop_duplicates("run_id")
    names = "optimizer.name", DYNAMICS
    free = [c for c in varying(runs) if c.startswith("optimizer.") and c not in (*ignore, *names)]
    cell = [*(c for c in names if c in runs), *(c for c in varying(runs) if c not in (*free, *names))]
    several = runs.groupby(cell, dropna=False)[free].nunique(dropna=False).max() > 1
    return labels(df, optimizer_names(df), [*(c for c in free if several[c]), *by])


def cell_columns(df: pd.DataFrame) -> list[str]:
    """Return the columns in which cells differ: all that vary but the seed, or the optimizer's name if none does.

    Numbers that follow from others are left out: of signal norm and snr the one that takes more values, what is given
    as `{theory: c}`, and an init_std, batch size, signal or setting of an integration that is the same wherever all
    else is.
    """
    df = plain(df)
    columns = [column for column in varying(df) if column != "seed" and not _in_theory(df, column)]
    columns = [column for column in columns if column not in _signals(df)[1:]]
    for column in FOLLOWING:
        rest = [c for c in columns if c != column]
        if rest and len(df[rest].drop_duplicates()) == len(df[columns].drop_duplicates()):
            columns = rest
    return columns or ["optimizer.name"]


def mixed_columns(runs: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """Return the columns in which cells differ that share a place on the axes; the optimizer's name is none of them."""
    columns = [c for c in cell_columns(runs) if c not in (*axes, "optimizer.name")]
    groups = runs.groupby([*axes], dropna=False)
    return [c for c in columns if groups[c].nunique(dropna=False).max() > 1]


def places(df: pd.DataFrame, axes: Iterable[str], by: Iterable[str] = ("seed",)) -> pd.DataFrame:
    """Return the table with values of the axes that differ by rounding alone as one, the shortest decimal of them.

    A number that follows from others, as the signal norm does from the snr, may be computed to other last bits at two
    places. Where that would put two rows of one seed (`by`) into one cell the table is returned unchanged.
    """
    keys = list(dict.fromkeys([*axes, *by]))
    joined = df.assign(**{c: _joined(df[c]) for c in axes})
    return df if joined.duplicated(keys).sum() > df.duplicated(keys).sum() else joined


def _joined(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column with the values that differ by rounding alone as one."""
    if not pd.api.types.is_float_dtype(column):
        return column
    values = np.unique(column.dropna().to_numpy(dtype=float))
    apart = np.diff(values) > ROUNDING * np.maximum(abs(values[1:]), abs(values[:-1]))
    if apart.all():
        return column
    groups = np.split(values, np.flatnonzero(apart) + 1)
    return column.map({v: min(group, key=lambda v: (len(repr(float(v))), v)) for group in groups for v in group})


def _signals(df: pd.DataFrame) -> list[str]:
    """Return which names of the signal vary: the one of fewer values first, that which was given if they take as many.

    The one that was given has the other computed from it, to the last bit.
    """
    known = {*SIGNALS, "data.noise_std", "data.dim"} <= {*df}
    by_snr = known and df["data.signal_norm"].eq(df["data.snr"] * df["data.noise_std"] * np.sqrt(df["data.dim"])).all()
    first = SIGNALS[::-1] if by_snr else SIGNALS
    there = {c: _joined(df[c]).nunique() for c in varying(df) if c in SIGNALS}
    return sorted((c for c, n in there.items() if n > 1), key=lambda c: (there[c], first.index(c)))


def _in_theory(df: pd.DataFrame, column: str) -> bool:
    """Whether a column is given as {theory: c} in every run that has it."""
    theory = df.get(f"{column}.theory")
    return theory is not None and bool(theory.notna().eq(df[column].notna()).all())


def cell_labels(df: pd.DataFrame) -> pd.Series[str]:
    """Return a name for every row's cell, such as `sam sde lr=0.1 rho=0.03 data.dim=1000`.

    It always holds the learning rate and the radius, and all else that varies; missing values are left out.
    """
    return pd.Series(_of_cells(plain(df)), index=df.index, name="cell", dtype="str")


def by_cell(df: pd.DataFrame) -> dict[Label, pd.DataFrame]:
    """Split a table by cell, in order of appearance."""
    df = plain(df)
    return _split(df, _of_cells(df))


def _of_cells(df: pd.DataFrame) -> list[Label]:
    """Return the label of every row's cell."""
    require(df, ["run_id", "optimizer.name"])
    first = [column for column in ("optimizer.lr", "optimizer.rho") if column in df]
    others = [c for c in cell_columns(df) if c not in (*first, "optimizer.name", DYNAMICS)]
    return labels(df, optimizer_names(df), [*first, *others])


def by_optimizer(
    df: pd.DataFrame,
    optimizer: str | Collection[str] | None = None,
    ignore: Sequence[str] = (),
    by: Sequence[str] = (),
) -> dict[Label, pd.DataFrame]:
    """Split a table by optimizer label, in order of appearance; and by the columns `by`, whose values labels then hold.

    With `optimizer`, only that label, or all labels of that name; or of any of several. Raises ValueError, listing
    the labels, if there is no such optimizer.
    """
    if df.empty:
        raise ValueError("the table has no rows")
    df = plain(df)
    parts = _split(df, _of_optimizers(df, ignore, by))
    chosen = {*parts} if optimizer is None else {optimizer} if isinstance(optimizer, str) else {*optimizer}
    if unknown := chosen - {*parts} - {label.name for label in parts}:
        raise ValueError(f"no optimizer {min(unknown)!r}; there are {listed(pd.Series([*parts]))}")
    return {label: part for label, part in parts.items() if label in chosen or label.name in chosen}


def _split(df: pd.DataFrame, names: Sequence[Label]) -> dict[Label, pd.DataFrame]:
    """Return the rows of every name, in order of appearance."""
    places: dict[Label, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    return {name: df.iloc[rows] for name, rows in places.items()}


def of_optimizer(
    df: pd.DataFrame, optimizer: str | Collection[str] | None, ignore: Sequence[str] = (), by: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the rows that ``by_optimizer`` keeps."""
    return pd.concat(by_optimizer(df, optimizer, ignore, by).values())


def main_axes(df: pd.DataFrame, x: str | None = None, y: str | None = None, by: Sequence[str] = ()) -> tuple[str, str]:
    """Return the two axes of a sweep: x the signal and y the other column that varies, unless they are given.

    If one is given, the other is found. Optimizers, seeds, the columns `by` and numbers that follow from others are no
    axes: the signal is `signal_norm` or `snr`, whichever takes fewer values, and y is the dimension if it varies.
    Raises ValueError unless this leaves one choice, naming the candidates.
    """
    df = plain(df).drop(columns=[c for c in by if c in df and c not in (x, y)])
    free = [c for c in varying(df) if c != "seed" and not c.startswith("optimizer.")]
    cells = cell_columns(df)
    signals = [] if {x, y} & {*SIGNALS} else [c for c in cells if c in SIGNALS]
    rest = [c for c in cells if c in free and c not in (*SIGNALS, x, y)]
    others = ["data.dim"] if "data.dim" in rest else rest if len(rest) == 1 else []
    found = iter([*signals, *others])
    x, y = x or next(found, None), y or next(found, None)
    if x is None or y is None:
        if not free:
            raise ValueError("there are no axes to draw over: nothing varies but optimizers and seeds")
        if len(only := [c for c in cells if c in free]) == 1:
            raise ValueError(f"a diagram has two axes, and but for optimizers and seeds only {only[0]} varies")
        raise ValueError(f"choose the columns x and y; these vary: {', '.join(free)}")
    return x, y


def refuse_twins(runs: pd.DataFrame, keys: Sequence[str], what: str = "run") -> None:
    """Raise ValueError if two rows agree in `keys`, naming the columns in which they differ."""
    keys = list(dict.fromkeys(keys))
    twins = runs[runs.duplicated(keys, keep=False)]
    if twins.empty:
        return
    _, pair = next(iter(twins.groupby(keys, dropna=False)))
    if "run_id" in pair and pair["run_id"].duplicated().any():
        raise ValueError("a run has several rows: pass one row per run, such as its last step (featlearn.summary)")
    place = ", ".join(f"{key} = {pair[key].iloc[0]}" for key in keys)
    differ = "; ".join(f"{c} ({listed(pair[c])})" for c in varying(pair) if c not in keys)
    raise ValueError(f"{len(pair)} {what}s share {place}; they differ in {differ or 'no config column'}: choose one")
