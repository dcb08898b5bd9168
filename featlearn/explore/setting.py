"""What a request asks for, and the configs of it: of the dynamics, and of the phase diagram."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featlearn.config.reference import in_yaml
from featlearn.config.sections import SECTIONS
from featlearn.explore.controls import MOST, START, Control, alternatives, controls, kind_of

TRACKERS = ("loss", "decomposition", "test_error")
RECORDS = 16  # of a run whose dynamics are drawn
Config = dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """An axis of the phase diagram: its control and its ends."""

    control: Control
    low: float
    high: float

    @property
    def key(self) -> str:
        """The dotted key."""
        return self.control.key

    def values(self, cells: int) -> Config:
        """Return the axis as a sweep has it."""
        word = "geomspace" if self.control.scale == "log" else "linspace"
        return {word: [*map(_short, (self.low, self.high)), cells]}


def _short(number: float) -> float:
    return int(number) if float(number).is_integer() and abs(number) < 1e15 else number


@dataclass(frozen=True)
class Setting:
    """What a request asks for: a base run, SGD beside its rule, and the axes of the phase diagram.

    head: the name, and what else stands at the top of a config. sections: data, network, optimizer and train.
    """

    head: Config
    sections: Mapping[str, Config]
    x: Axis
    y: Axis
    seeds: int
    cells: int
    quantity: str

    @property
    def rules(self) -> list[Config]:
        """SGD with what it shares with the rule, and the rule; SGD alone if that is the rule."""
        rule = self.sections["optimizer"]
        own = {one.name for one in controls("optimizer", SECTIONS["optimizer"].table["sgd"])}
        sgd = {"name": "sgd", "lr": START["optimizer.lr"]} | {k: v for k, v in rule.items() if k in own}
        return [rule] if rule.get("name") == "sgd" else [sgd, rule]

    def dynamics(self) -> Config:
        """Return the config of the base run, a few seeds of each rule."""
        n_steps = self.sections["train"].get("n_steps")
        every = max(1, math.ceil(n_steps / RECORDS)) if isinstance(n_steps, int) else 1
        return self._config(every, {"optimizer": self.rules, "seed": self._seeds})

    def single_rules(self, config: Config) -> list[Config]:
        """Return a config of a sweep over the rules as one config for each of them."""
        rest = {key: axis for key, axis in config["sweep"].items() if key != "optimizer"}
        return [{**config, "optimizer": rule, "sweep": rest} for rule in self.rules]

    def windows(self) -> list[int]:
        """Return the steps at which the phase of the rule starts or stops."""
        rule = self.sections["optimizer"]
        return [end for key in ("start", "stop") if isinstance(end := rule.get(key), int) and end > 0]

    def panels(self) -> list[Config]:
        """Return a config for the panel of each rule; an axis that a rule lacks is left out."""
        found = []
        for rule in self.rules:
            axes = {axis.key: axis.values(self.cells) for axis in (self.x, self.y) if _has(rule, axis.key)}
            panel = self._over_axes({**axes, "seed": self._seeds})
            found.append({**panel, "optimizer": rule})
        return found

    def phase(self) -> Config:
        """Return the config of the whole phase diagram, as one sweep: the runs of all ``panels``."""
        axes, rules = {}, [dict(rule) for rule in self.rules]
        for axis in (self.x, self.y):
            lacking = [rule for rule in rules if not _has(rule, axis.key)]
            if not lacking:
                axes[axis.key] = axis.values(self.cells)
                continue
            for rule in rules:
                if rule not in lacking:
                    rule[axis.key.partition(".")[2]] = axis.values(self.cells)
        return self._over_axes({**axes, "optimizer": rules, "seed": self._seeds})

    def _over_axes(self, sweep: Config) -> Config:
        """Return the config of a sweep over the axes; a key that follows from one of them is left to it."""
        config = self._config(self._last, sweep)
        kind = kind_of("data", self.sections["data"])
        others = alternatives(kind.cls) if kind else ()
        swept = [key for key in others if f"data.{key}" in (self.x.key, self.y.key)]
        free = {key: None for key in others if swept and key not in swept}
        return {**config, "data": {**config["data"], **free}}

    @property
    def _last(self) -> int:
        """How often to record for the first and the last step alone."""
        swept = "train.n_steps" in (self.x.key, self.y.key)
        return MOST["train.n_steps"] if swept else int(self.sections["train"].get("n_steps") or 1)

    @property
    def _seeds(self) -> Config:
        first = int(self.head.get("seed", 0))
        return {"range": [first, first + self.seeds]}

    def _config(self, every: int, sweep: Config) -> Config:
        record = {"every": every, "trackers": [*TRACKERS]}
        return {**self.head, **self.sections, "record": record, "sweep": sweep}


def _has(rule: Config, key: str) -> bool:
    """Whether a run with this rule has a key: one of another section, or of the rule."""
    section, _, name = key.partition(".")
    kind = kind_of("optimizer", rule)
    return section != "optimizer" or kind is None or name in kind.parameters


def as_yaml(config: Config, comment: str) -> str:
    """Return a config as a file for ``featlearn sweep``."""
    lines = [f"# {comment}", *(f"{key}: {in_yaml(value)}" for key, value in config.items() if key != "sweep")]
    lines += ["sweep:", *(f"  {key}: {in_yaml(axis)}" for key, axis in config["sweep"].items())]
    return "\n".join([*lines, ""])
