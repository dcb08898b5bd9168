"""``featlearn bench``: the cost of a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from featlearn.cli.app import Device, Once, Quiet, app, own_backend, say, user_errors


@app.command(cls=Once)
@user_errors()
def bench(
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write all figures.")] = None,
    figures: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Also draw the cost against sizes.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few sizes, few rounds.")] = False,
    only: Annotated[list[str] | None, typer.Option(metavar="SECTION", help="Measure this only; repeatable.")] = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Time the Gram engine against an explicit PyTorch loop and its arithmetic limit, and the cost of each size."""
    from featlearn.bench import Setting, run_benchmarks
    from featlearn.bench.text import report_text

    for folder in filter(None, (json_file and json_file.parent, figures)):
        folder.mkdir(parents=True, exist_ok=True)
    setting = Setting.on(device, quick=quick)
    report = run_benchmarks(setting, only or (), (lambda name: None) if quiet else _announce)
    if json_file:
        json_file.write_text(json.dumps(report, indent=1))
    if figures:
        own_backend()
        from featlearn.bench.figures import draw

        draw(report, figures)
    if not quiet:
        say(report_text(report))


def _announce(name: str) -> None:
    say(f"{name} ...", err=True)
