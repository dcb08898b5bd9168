"""What the command line prints: results as plain text, one fact a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featlearn.config import Entry, SweepConfig
    from featlearn.config.parameters import Parameter
    from featlearn.runs import RunConfig, Trajectory
    from featlearn.store import StoreStatus


def trajectory_text(trajectory: Trajectory) -> str:
    """Return how a run ended, in a sentence, and what was recorded last; list columns are left out."""
    last = {name: values[-1] for name, values in trajectory.values.items() if values.ndim == 1}
    head = {"run_id": trajectory.run.run_id, "step": trajectory.steps[-1]}
    sentence = f"{trajectory.run.name}, seed {trajectory.run.seed}: {trajectory.status}; {trajectory.message}"
    return "\n".join([sentence, *_aligned({**head, **last})])


def config_text(config: SweepConfig) -> str:
    """Return how many runs a config asks for, and what computes the first."""
    run = config.base_run()
    return f"{config.name}: {_count(config.n_runs, 'run')}; base run: {_route(run)}"


def expanded_text(config: SweepConfig) -> str:
    """Return what becomes of a config: how many different runs and cells, and the first and the last run in full."""
    first = last = next(config.runs())
    ids, cells, routes = set[str](), set[Any](), dict[str, None]()
    for last in config.runs():
        ids.add(last.run_id)
        cells.add(_cell(last))
        routes[_route(last)] = None
    counts = f"{_count(len(ids), 'different run')} in {_count(len(cells), 'cell')}"
    before, after = first.columns(), last.columns()
    table = [("", "first", "last"), ("run_id", first.run_id, last.run_id)]
    table += [(key, _show(before.get(key)), _show(after.get(key))) for key in {**before, **after}]
    head = f"{config.name}: {_count(config.n_runs, 'run')}, {counts}; {'; '.join(routes)}"
    return "\n".join([head, *_columns(table)])


def status_text(status: StoreStatus, store: Path) -> str:
    """Return how far the latest sweep into a store is, and why runs failed."""
    numbers = {
        "runs": status.n_runs,
        "done": f"{status.done} ({status.fitted} fitted, {status.diverged} diverged, {status.reused} reused)",
        "failed": status.failed,
        "missing": status.missing,
    }
    others = {"others": f"{status.others} (of earlier sweeps)"} if status.others else {}
    reasons = [f"  {n} x {message}" for message, n in status.failures.items()]
    why = ["why runs failed:", *reasons] if reasons else []
    return "\n".join([str(store), *_aligned({**numbers, **others}), *why])


def words_text(kind: str, entries: Sequence[Entry]) -> str:
    """Return every word of a kind with what it means."""
    return "\n".join([f"{kind}:", *_aligned({entry.name: entry.doc for entry in entries})])


def entry_text(entry: Entry) -> str:
    """Return one word with its meaning, its source, the engines that serve it and its parameters."""
    source = [f"  source: {entry.reference}"] if entry.reference else []
    engines = f"  engines: {', '.join(entry.engines)}"
    parameters = _aligned(dict(map(_described, entry.parameters)))
    return "\n".join([f"{entry.name}: {entry.doc}", *source, engines, *parameters])


def _described(parameter: Parameter) -> tuple[str, str]:
    default = "must be given" if parameter.default is MISSING else f"default {json.dumps(parameter.default)}"
    return parameter.name, f"{parameter.doc} ({default})"


def _cell(run: RunConfig) -> Any:
    return tuple((key, value) for key, value in run.columns().items() if key != "seed")


def _route(run: RunConfig) -> str:
    return f"{run.engine} engine, sampling {run.sampling}, {run.dtype}"


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def _aligned(values: Mapping[str, Any]) -> list[str]:
    """Return indented lines "key  value", the values below each other."""
    return [f"  {line}" for line in _columns([(key, _show(value)) for key, value in values.items()])]


def _show(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _columns(table: Iterable[Sequence[str]]) -> list[str]:
    """Align the cells of a table; the last column may be of any length."""
    table = list(table)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
