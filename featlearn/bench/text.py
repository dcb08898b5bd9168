"""A report as text: ratios first, absolute times second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Cells = list[list[str]]
SIZES = {"dim": "d", "n_samples": "n", "n_filters": "m", "block": "block"}


def report_text(report: dict[str, Any]) -> str:
    """Return the report as Markdown, readable in a terminal."""
    parts = [_head(report["machine"])]
    parts += [write(report[name]) for name, write in WRITERS.items() if name in report]
    if report["setting"]["device"] == "cpu":
        parts.append("No CUDA device was measured.")
    return "\n\n".join(parts)


def _head(on: dict[str, Any]) -> str:
    gpu = f", {on['gpu']}" if on["gpu"] else ""
    versions = ", ".join(f"{name} {on[name]}" for name in ("featlearn", "torch", "numpy", "numba"))
    return (
        f"{on['date']}: {on['processor']}, {on['cores']} cores{gpu}; {versions}, Python {on['python']}; "
        f"load at the start {on['load']:.1f}.\nMedians, with the smallest and the largest of all rounds in brackets."
    )


def _compare(rows: list[dict[str, Any]]) -> str:
    head = [
        "rule",
        "d",
        "dtype",
        "test errors",
        "speed-up",
        "one thread each",
        "explicit",
        "threads (explicit)",
        "Gram engine",
    ]
    cells = [
        [
            row["rule"],
            f"{row['dim']}",
            row["dtype"],
            str(row["n_tests"]),
            _ratio(row["ratio"], ".0f"),
            _ratio(row["ratio_one_thread"], ".0f"),
            _time(row["explicit_seconds"]),
            str(row["explicit_threads"]),
            _time(row["gram_seconds"]),
        ]
        for row in rows
    ]
    return _titled("The Gram engine against the explicit loop, a network with its set-up and test errors", head, cells)


def _limit(rows: list[dict[str, Any]]) -> str:
    head = ["rule", "dtype", "step / limit", "step", "limit", "flops", "own products", "large products"]
    cells = [
        [
            row["rule"],
            row["dtype"],
            _ratio(row["distance"], ".2f"),
            _time(row["step_seconds"]),
            _time(row["limit_seconds"]),
            str(row["flops"]),
            f"{row['small_product_rate'] / 1e9:.1f} Gflop/s",
            f"{row['large_product_rate'] / 1e9:.0f} Gflop/s",
        ]
        for row in rows
    ]
    return _titled("A training step against its arithmetic limit at the rate of its products", head, cells)


def _growth(name: str) -> Callable[[list[dict[str, Any]]], str]:
    def write(rows: list[dict[str, Any]]) -> str:
        base = rows[0]["seconds"]["median"]
        cells = [
            [
                f"{row[name]:.0e}" if row[name] >= 10**6 else str(row[name]),
                f"{row['seconds']['median'] / base:.2f}",
                f"{row['runs_per_second']:.0f}",
                _time(row["seconds"]),
            ]
            for row in rows
        ]
        return _titled(f"Cost against {SIZES[name]}", [SIZES[name], "time / first", "runs/s", "a network"], cells)

    return write


def _curvature(rows: list[dict[str, Any]]) -> str:
    head = [
        "rule",
        "activation",
        "over default trackers",
        "over the loss",
        "over no record",
        "with sharpness",
        "default",
    ]
    cells = [
        [
            row["rule"],
            row["activation"],
            *(_ratio(row[f"over_{name}"], ".2f") for name in ("default", "loss", "nothing")),
            _time(row["seconds"]),
            _time(row["default_seconds"]),
        ]
        for row in rows
    ]
    return _titled(f"Recording the sharpness every {rows[0]['every']} steps", head, cells)


def _memory(rows: list[dict[str, Any]]) -> str:
    cells = [[row["what"], *(_mebi(row.get(key)) for key in ("peak", "growth"))] for row in rows]
    return _titled("Peak memory", ["process", "total", "without libraries"], cells)


def _million(row: dict[str, Any]) -> str:
    whole = f"{row['seconds']:.1f} s for {row['n_runs']} networks, peak {_mebi(row['peak'])}"
    if row["extrapolated"]:
        whole += f"; extrapolated to a million: {row['seconds_of_a_million']:.0f} s"
    return f"A million SAM networks, float32, one recorded test error: {whole}."


def _shards(rows: list[dict[str, Any]]) -> str:
    cells = [
        [
            row["engine"],
            str(row["batch_size"]),
            str(row["n_shards"]),
            _ratio(row["ratio"], ".2f"),
            _time(row["step_seconds"]),
        ]
        for row in rows
    ]
    head = ["engine", "batch", "micro-batches", "time / SAM", "a step of a network"]
    return _titled("mSAM against SAM on the same batches", head, cells)


def _sde(rows: list[dict[str, Any]]) -> str:
    keys = ("numpy_over_ours", "loop_over_ours", "torchsde_over_ours", "over_first")
    cells = [
        [row["problem"], str(row["paths"]), _time(row["seconds"]), *(_maybe(row.get(key)) for key in keys)]
        for row in rows
    ]
    head = ["SDE", "paths", "a path and substep", "numpy / this", "a path alone / this", "torchsde / this", "/ first d"]
    return _titled("Paths of SDEs, with their set-up, beside Euler-Maruyama by hand and by torchsde", head, cells)


WRITERS: dict[str, Callable[[Any], str]] = {
    "compare": _compare,
    "limit": _limit,
    **{name: _growth(name) for name in SIZES},
    "curvature": _curvature,
    "memory": _memory,
    "million": _million,
    "n_shards": _shards,
    "sde": _sde,
}


def _titled(title: str, head: list[str], cells: Cells) -> str:
    return f"{title}:\n\n{table(head, cells)}"


def table(head: list[str], cells: Cells) -> str:
    """Return a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]

    def line(row: Iterable[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"

    return "\n".join([line(head), line("-" * width for width in widths), *map(line, cells)])


def _ratio(x: dict[str, float], form: str) -> str:
    return f"{x['median']:{form}} [{x['min']:{form}}, {x['max']:{form}}]"


def _maybe(x: dict[str, float] | str | None) -> str:
    """Return a ratio, or the word that stands for it."""
    return _ratio(x, ".2f") if isinstance(x, dict) else x or ""


def _time(x: dict[str, float]) -> str:
    """Return the seconds in the unit that suits their median."""
    unit, factor = next((u, f) for u, f in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)) if f == 1e6 or x["median"] * f >= 1)
    median, least, most = (f"{x[key] * factor:.3g}" for key in ("median", "min", "max"))
    return f"{median} {unit} [{least}, {most}]"


def _mebi(size: int | None) -> str:
    return "" if size is None else f"{size / 2**20:.0f} MiB"
