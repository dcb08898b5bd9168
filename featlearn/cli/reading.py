"""The commands that read a config, or list its possible entries; ``export`` also trains its base run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featlearn.cli.app import RUNS_FAILED, ConfigFile, Device, Once, Settings, app, end, load, say, user_errors

if TYPE_CHECKING:
    from featlearn.config import SweepConfig
    from featlearn.estimate import Trial

MOST_WHOLE = 8  # keys that `list config` describes in full; more are a table


@app.command(cls=Once)
@user_errors()
def validate(
    config: ConfigFile,
    changes: Settings = None,
    expand: Annotated[bool, typer.Option("--expand", help="Resolve every run; show the first and the last.")] = False,
    trial: Annotated[bool, typer.Option("--trial", help="Estimate time and size from a few steps.")] = False,
    device: Device = "auto",
) -> None:
    """Report every error of a config, or its numbers of runs, steps and rows, and estimated time and size."""
    from featlearn.texts import config_text, expanded_text

    loaded = load(config, changes)
    if expand:
        say(expanded_text(loaded))
    if trial or not expand:
        say(config_text(loaded, _tried(loaded, device)) if trial else config_text(loaded))


def _tried(config: SweepConfig, device: str) -> Trial:
    from featlearn.custom import FAILURES
    from featlearn.estimate import trial
    from featlearn.sweeps.worker import describe

    try:
        return trial(config, device)
    except ValueError:
        raise
    except FAILURES as error:
        end(f"the trial failed: {describe(error)}", RUNS_FAILED)


@app.command(cls=Once)
@user_errors()
def export(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("-o", "--out", help="An .npz file.", show_default=False)],
    changes: Settings = None,
    engine: Annotated[str, typer.Option(help="weights, or gram: with its coefficients over the patches.")] = "weights",
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is no export of featlearn.")] = False,
) -> None:
    """Write the base run of a config as plain arrays."""
    loaded = load(config, changes)
    from featlearn.export import export

    arrays = export(loaded, out, engine=engine, force=force)
    say(f"{out}: {', '.join(arrays)}")
    if loaded.base_run().sampling == "gram":
        say("drawn from explicit vectors: another draw of the same law than `run` makes (sampling: gram)")


@app.command("list", cls=Once)
@user_errors()
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="config, data, models, optimizers, schedules, trackers or engines.")
    ] = None,
    word: Annotated[
        str | None, typer.Argument(help="One of them, or your own: my_rules.py:MySAM; of config a key or a section.")
    ] = None,
) -> None:
    """List the entries of a kind with their parameters, or describe one entry with bounds and meanings.

    `list config` lists every key with its default, type and bounds; `list config KEY` describes one in full.
    """
    from featlearn.config import describe
    from featlearn.config.catalogue import KINDS
    from featlearn.config.problems import suggest
    from featlearn.texts import brief_text, entry_text, words_text

    if kind == "config":
        say(_keys(word))
    elif kind:
        if kind not in (listed := [*KINDS, "engines", "config"]):
            raise ValueError(f"there are no {kind}; {suggest(kind, listed)}")
        say("\n\n".join(map(entry_text if word else brief_text, describe(kind, word))))
    else:
        say("\n\n".join(words_text(kind, describe(kind)) for kind in (*KINDS, "engines")))


def _keys(word: str | None) -> str:
    from featlearn.config import reference
    from featlearn.texts import key_text, keys_text

    keys = reference(word)
    whole = word is not None and len({key.name for key in keys}) <= MOST_WHOLE
    return "\n\n".join(map(key_text, keys)) if whole else keys_text(keys)


@app.command(cls=Once)
@user_errors()
def schema() -> None:
    """Print the JSON schema of a config, for editors."""
    from featlearn.config import schema

    say(json.dumps(schema(), indent=2))
