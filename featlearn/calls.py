"""What a call from Python may pass as a config: a YAML file's path, its content as a mapping, or what was loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featlearn.runs import RunConfig, Trajectory

if TYPE_CHECKING:
    from featlearn.config import SweepConfig

Settings = Mapping[str, Any] | Iterable[str]


def loaded(config: SweepConfig | Mapping[str, Any] | str | Path, set: Settings = ()) -> SweepConfig:
    """Return a config that ``load_config`` has read and ``set`` has changed.

    Raises ConfigError for one that is wrong, ValueError for ``set`` beside one that is loaded already, and TypeError
    for what is no config.
    """
    if isinstance(config, str | Path | Mapping):
        from featlearn.config import load_config

        return load_config(config, set=set)
    if not hasattr(config, "runs"):
        forms = "the path of a YAML file, a mapping, or what load_config returns"
        raise TypeError(f"expected {forms}; found {config!r}")
    if set:
        raise ValueError("set changes a path or a mapping; this config is loaded already: give set to load_config")
    return config


def simulate(
    config: RunConfig | SweepConfig | Mapping[str, Any] | str | Path, *, set: Settings = (), device: str = "auto"
) -> Trajectory:
    """Simulate one run: the base of a config, its sweep left aside, or a RunConfig.

    config: from ``load_config``, or the path of a YAML file or its content as a mapping, then changed by ``set``.
    device: cpu, cuda, or auto: cuda where there is one, as in ``sweep``.

    Raises ConfigError for a config that is wrong, ValueError for a device that is not there, and TypeError for what is
    no config.
    """
    from featlearn.simulation import simulate

    if isinstance(config, RunConfig) and set:
        raise ValueError("set changes a path or a mapping; a RunConfig is changed by dataclasses.replace")
    return simulate(config if isinstance(config, RunConfig) else loaded(config, set), device=device)
