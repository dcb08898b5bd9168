"""A Markdown table of every command's arguments and options, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from markdown_tables import code, plain, table

from featlearn.cli import app


def commands() -> str:
    """Return every command, a section for each; those of plot, which share most options, below it."""
    return "\n\n".join(_sections(typer.main.get_command(app), "featlearn", 2))


def _sections(group: Any, name: str, level: int) -> Iterator[str]:
    context = typer.Context(group, info_name=name)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        yield f"{'#' * level} {name} {word}"
        yield plain(command.help)
        if hasattr(command, "list_commands"):
            yield from _sections(command, f"{name} {word}", level + 1)
        elif rows := [_row(part) for part in command.params if not getattr(part, "hidden", False)]:
            yield table(("", "default", "meaning"), rows)


def _row(part: Any) -> tuple[str, str, str]:
    names = (*part.opts, *part.secondary_opts) if part.param_type_name == "option" else (part.name.upper(),)
    shown = part.default not in (None, False, (), []) and not callable(part.default)
    default = "*required*" if part.required else code(str(part.default)) if shown else ""
    return ", ".join(map(code, names)), default, plain(part.help or "")
