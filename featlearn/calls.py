"""Python calls with a config: the path of a YAML file, its content as a mapping, or a loaded config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featlearn.runs import RunConfig, Trajectory

if TYPE_CHECKING:
    from featlearn.config import SweepConfig

Settings = Mapping[str, Any] | Iterable[str]


def loaded(config: SweepConfig | Mapping[str, Any] | str | Path, set: Settings = ()) -> SweepConfig:
    """Return the config, loaded by ``load_config`` with the changes of ``set``.

    Raises ConfigError if it is invalid, ValueError if ``set`` is given with a loaded config, and TypeError if
    ``config`` is no config.
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
    """Simulate one run: the base of a config, without its sweep, or a RunConfig.

    config: from ``load_config``, or the path of a YAML file or its content as a mapping, then changed by ``set``.
    device: cpu, cuda, or auto: cuda if there is one, as in ``sweep``.

    Raises ConfigError for an invalid config, ValueError for an unavailable device, and TypeError if ``config`` is no
    config.
    """
    from featlearn.simulation import simulate

    if isinstance(config, RunConfig) and set:
        raise ValueError("set changes a path or a mapping; a RunConfig is changed by dataclasses.replace")
    return simulate(config if isinstance(config, RunConfig) else loaded(config, set), device=device)
