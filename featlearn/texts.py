"""Text output of the command line, one fact per line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featlearn.config import Entry, Key, SweepConfig
    from featlearn.estimate import Trial
    from featlearn.reruns import Rerun
    from featlearn.runs import RunConfig, Trajectory
    from featlearn.store import StoreStatus

MOST_KINDS = 4  # listed in one line
MOST_DIFFERENCES = 8  # columns that differ, listed one by one


def trajectory_text(trajectory: Trajectory) -> str:
    """Return how a run ended, and its last record without list columns."""
    last = {name: values[-1] for name, values in trajectory.values.items() if values.ndim == 1}
    head = {"run_id": trajectory.run.run_id, "step": trajectory.steps[-1]}
    sentence = f"{trajectory.run.name}, seed {trajectory.run.seed}: {trajectory.status}; {trajectory.message}"
    return "\n".join([sentence, *_aligned({**head, **last})])


def config_text(config: SweepConfig, trial: Trial | None = None) -> str:
    """Return the number of runs of a config, the engine of the base run, the cost, and rounded axes."""
    from featlearn.estimate import count

    counted, run = count(config), config.base_run()
    lines = {"steps": f"{counted.steps:,}", "rows": f"{counted.rows:,} recorded"}
    if trial is None:
        lines["time"] = "not known before a trial: --trial takes one of some seconds"
        lines["size"] = f"{_bytes(8 * counted.rows)} for every tracked number, before compression"
    else:
        on = f"{trial.shapes} of {trial.of} kinds of blocks" if trial.of > trial.shapes else "a few steps"
        spent = f"estimated from a trial of {on} on {trial.device}, which took {_seconds(trial.seconds_spent)}"
        lines["time"] = f"about {_seconds(trial.seconds)} in one process, {spent}"
        lines["size"] = f"about {_bytes(trial.bytes)} before compression"
    head = f"{config.name}: {_count(config.n_runs, 'run')}; base run: {_route(run)}"
    return "\n".join([head, *_aligned(lines), *_rounded(config)])


def rerun_text(found: Rerun, store: Path) -> str:
    """Return whether a run has the same bits again, and else by how much it differs, and why it may."""
    if found.equal:
        return f"{found.run_id}: the same bits in all {found.n_columns} columns as in {store}"
    lines = [f"{found.run_id}: other numbers than in {store}, in {len(found.differences)} of {found.n_columns} columns"]
    lines += [f"  {name}: {old!r} in the store, {new!r} now" for name, (old, new) in found.ends.items()]
    largest = sorted(found.differences.items(), key=lambda item: -item[1])
    lines += [f"  {name}: by {size:.1e} of its largest number" for name, size in largest[:MOST_DIFFERENCES]]
    if found.provenance:
        lines.append("computed by another installation, on which sums may be rounded otherwise (about 1e-12 a column):")
        lines += [f"  {name}: {old} in the store, {new} here" for name, (old, new) in found.provenance.items()]
    else:
        lines.append("on the same kind of processor with the same versions: this should not happen")
    return "\n".join(lines)


def _seconds(seconds: float) -> str:
    """Spell a duration, roughly."""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s"


def _bytes(size: float) -> str:
    """Spell an amount of storage, roughly."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= one:
            return f"{size / one:.2g} {unit}" if size < 100 * one else f"{size / one:.0f} {unit}"
    return f"{size:.0f} bytes"


def _rounded(config: SweepConfig) -> Iterator[str]:
    """Yield the axes of spaced values of a key that takes integers."""
    for axis in config.axes:
        values = [point[0] for point in axis.values]
        if axis.spacing in ("linspace", "geomspace") and all(isinstance(value, int) for value in values):
            shown = ", ".join(map(str, values if len(values) < 8 else [*values[:3], "...", values[-1]]))
            yield f"  {axis.keys[0]} rounded to integers: {shown}"


def expanded_text(config: SweepConfig) -> str:
    """Return the expansion of a config: numbers of distinct runs and cells, and the first and the last run."""
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
    """Return the progress of the latest sweep into a store, and why runs failed."""
    from featlearn.store.marker import MARKER

    numbers = {
        "runs": status.n_runs,
        "done": f"{status.done} ({status.fitted} fitted, {status.diverged} diverged, {status.reused} reused)",
        "failed": status.failed,
        "missing": status.missing,
    }
    text = f"{status.others} (of earlier sweeps; plots leave them out without --all-sweeps)"
    others = {"others": text} if status.others else {}
    reasons = [f"  {n} x {message}" for message, n in status.failures.items()]
    why = ["why runs failed:", *reasons] if reasons else []
    marker = [text for text in status.damaged if text.startswith(f"{MARKER}: ")]
    if files := [f"  {text}" for text in status.damaged if text not in marker]:
        why += ["left out as damaged; sweep again to set them aside and compute their runs anew:", *files]
    why += [f"{text}; nothing is lost by that, and the next sweep writes it again" for text in marker]
    return "\n".join([str(store), *_aligned({**numbers, **others}), *why])


def words_text(kind: str, entries: Sequence[Entry]) -> str:
    """Return every word of a kind, one per line, with its engines and meaning."""
    rows = [(f"  {entry.name}", ", ".join(entry.engines), entry.doc) for entry in entries]
    return "\n".join([f"{kind}:", *_columns(rows)])


def brief_text(entry: Entry) -> str:
    """Return one word in a few lines: engines and source, meaning, parameters and defaults."""
    head = "; ".join(filter(None, [", ".join(entry.engines), entry.reference]))
    given = [name if default is MISSING else f"{name}={_spelled(default)}" for name, default in _defaults(entry)]
    return "\n".join([f"{entry.name} ({head})", f"  {entry.doc}", *filter(None, [f"  {'  '.join(given)}".rstrip()])])


def entry_text(entry: Entry) -> str:
    """Return the full description of a word: bounds and meanings of its parameters, and the rules that it may wrap."""
    source = [f"  source: {entry.reference}"] if entry.reference else []
    engines = f"  engines: {', '.join(entry.engines)}"
    defaults = [_given(default) for _, default in _defaults(entry)]
    described = [(p.name, p.expected, p.doc) for p in entry.parameters]
    described += [("base", f"one of {', '.join(entry.bases)}", "the wrapped rule")] if entry.bases else []
    rows = [(name, default, f"{doc} ({kind})") for (name, kind, doc), default in zip(described, defaults, strict=True)]
    beside = ["  the parameters of the base are added to these"] if entry.bases else []
    return "\n".join([f"{entry.name}: {entry.doc}", *source, engines, *[f"  {row}" for row in _columns(rows)], *beside])


def keys_text(keys: Sequence[Key]) -> str:
    """Return keys of a config, one per line: default, meaning, type and bounds, and the kinds that have it."""
    rows = []
    for key in keys:
        few = [*key.kinds[:MOST_KINDS], *(["..."] if len(key.kinds) > MOST_KINDS else [])]
        of = f" of {', '.join(few)}" if few else ""
        rows.append((key.name, _given(key.default), f"{key.doc.rstrip('.')} ({key.expected}){of}"))
    return "\n".join(_columns(rows))


def key_text(key: Key) -> str:
    """Return the full description of a config key."""
    lines = {"type": key.expected, "default": _given(key.default).removeprefix("default "), "example": key.example}
    of = {"of": ", ".join(key.kinds)} if key.kinds else {}
    return "\n".join([f"{key.name}: {key.doc}", *_aligned({**lines, **of})])


def _defaults(entry: Entry) -> list[tuple[str, Any]]:
    """Return the parameters of a word with their defaults; MISSING for required ones."""
    return [*((p.name, p.shown_default) for p in entry.parameters), *(("base", word) for word in entry.bases[:1])]


def _given(default: Any) -> str:
    return "must be given" if default is MISSING else f"default {_spelled(default)}"


def _spelled(default: Any) -> str:
    from featlearn.config.reference import in_yaml

    return default if isinstance(default, str) else in_yaml(default)


def _cell(run: RunConfig) -> Any:
    return tuple((key, value) for key, value in run.columns().items() if key != "seed")


def _route(run: RunConfig) -> str:
    return f"{run.engine} engine, sampling {run.sampling}, {run.dtype}"


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def _aligned(values: Mapping[str, Any]) -> list[str]:
    """Return indented lines "key  value" with aligned values."""
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
