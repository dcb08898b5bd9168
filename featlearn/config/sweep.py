"""A validated config, and the runs that it describes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from featlearn.config.axes import Axis, read_axes
from featlearn.config.files import Settings, apply_settings, read_file, read_mapping
from featlearn.config.grid import Grid
from featlearn.config.own import own_keys
from featlearn.config.problems import ConfigError, ConfigWarning, Problem
from featlearn.config.source import Node
from featlearn.models import MODELS, Landscape
from featlearn.runs import RunConfig

UNNAMED = "unnamed"  # the name of a mapping without one


@dataclass(frozen=True, eq=False)
class SweepConfig:
    """A base run and the axes to sweep over it, from ``load_config``.

    path: of its file; empty for a mapping. tree: the base as written, every value with its file and line. sweep: the
    axes as written.
    """

    name: str
    path: str
    tree: Node = field(repr=False)
    sweep: dict[str, Any]
    axes: tuple[Axis, ...] = field(repr=False)

    @property
    def base(self) -> dict[str, Any]:
        """The base as plain values: the file, what it extends and the settings, without the sweep."""
        plain: dict[str, Any] = self.tree.plain
        return plain

    @cached_property
    def grid(self) -> Grid:
        """The combinations of the axes' points."""
        return Grid(self.tree, self.axes)

    def __len__(self) -> int:
        return len(self.grid)

    @property
    def n_runs(self) -> int:
        """The number of runs of the sweep; 1 without axes."""
        return len(self)

    def base_run(self) -> RunConfig:
        """Return the base as one run; a key set only by the sweep has its first value."""
        return self.grid.base().run()

    def runs(self) -> Iterator[RunConfig]:
        """Yield the runs of the sweep, the last axis varying fastest."""
        return self.grid.runs()

    def to_json(self) -> str:
        """Return the whole config as JSON text, for provenance."""
        return json.dumps({**self.base, "sweep": self.sweep, "path": self.path})


def load_config(path: str | Path | Mapping[str, Any], set: Settings = ()) -> SweepConfig:
    """Read a config, and check every run that it describes.

    path: a YAML file; or its content, as a mapping of the same keys, in which paths are relative to the working
    directory.
    set: changes: a mapping of dotted keys to values, or texts "key=value" with the value in YAML. A key that is set is
    no longer swept; a key inside sections that an axis lists is set in each whose kind has it.

    Raises ConfigError with all problems, each with file, line and key, and TypeError if ``path`` is neither a path nor
    a mapping. Warns (ConfigWarning) of runs that are probably not intended.
    """
    problems = list[Problem]()
    if not isinstance(path, str | Path | Mapping):
        raise TypeError(f"expected the path of a YAML file, or its content as a mapping; found {path!r}")
    read = read_mapping(path, problems) if isinstance(path, Mapping) else read_file(Path(path), problems)
    tree = apply_settings(read, set, problems)
    path, stem = ("", UNNAMED) if isinstance(path, Mapping) else (str(path), Path(path).stem)
    top = dict(tree.value)
    sweep = top.pop("sweep", None)
    top.setdefault("name", Node(stem, tree.place, "name"))
    if "data" not in top and (sees := _seen_by(top.get("network"))):
        top["data"] = Node({"model": Node(sees, tree.place, "data.model")}, tree.place, "data")
    axes = read_axes(sweep, problems, own_keys(tree))
    name, base = str(top["name"].plain), Node(top, tree.place)
    config = SweepConfig(name, path, base, (sweep.plain if sweep else None) or {}, axes)
    problems += config.grid.problems()
    if any(not problem.caution for problem in problems):
        raise ConfigError(problems)
    for caution in [*problems, *config.grid.cautions()]:
        warnings.warn(str(caution), ConfigWarning, stacklevel=2)
    return config


def _seen_by(network: Node | None) -> str | None:
    """Return a landscape's default data model, for a config without data; None for other networks."""
    given = network.plain if network else None
    word = given.get("model") if isinstance(given, dict) else given
    model = MODELS.get(word) if isinstance(word, str) else None
    return str(model.sees[0]) if model is not None and issubclass(model, Landscape) else None
