"""``featlearn explore``: a page to play with a config."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from featlearn.cli.app import Once, Settings, app, load, user_errors

ConfigFile = Annotated[Path | None, typer.Argument(help="A YAML config to start from.", show_default=False)]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Of the loopback address; 0 for any free one.")]


@app.command(cls=Once)
@user_errors()
def explore(config: ConfigFile = None, changes: Settings = None, port: Port = 8421) -> None:
    """Serve a page, on this machine only, to play with a config: dynamics and phase diagram while a slider moves."""
    if config is None and changes:
        raise ValueError("--set changes a config: name its file")
    base = None if config is None else load(config, changes)
    try:
        from featlearn.explore import serve
    except ModuleNotFoundError as missing:
        if missing.name not in ("starlette", "uvicorn"):
            raise
        raise ValueError(f"explore needs {missing.name}: pip install 'featlearn[explore]'") from None
    if config is not None:
        os.chdir(config.parent)  # the page names code of the user's own as the config does, from its folder
    serve(base, port, lambda text: typer.echo(text, err=True))
