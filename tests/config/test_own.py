"""A user's class in a config: read and checked like a built-in one, and refused in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import MISSING
from pathlib import Path

import pytest

from featlearn.config import SweepConfig, describe, load_config
from featlearn.optim import SGD

Problems = Callable[..., list[str]]
Load = Callable[..., SweepConfig]

REST = """
data: {n_samples: 20, dim: 1000, signal_norm: 5.0}
network: {n_filters: 10, init_std: 0.001}
train: {n_steps: 100}
"""

RULES = '''
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from featlearn.optim import Perturbed, Wrapper
from featlearn.optim.schedules import UNCHANGED, LRSchedule
from featlearn.types import Count, NonNegative, Numbers, Positive


@dataclass(frozen=True, kw_only=True)
class Tilted(Perturbed):
    """SAM with a tilt.

    tilt: how much of it.
    every: how often.
    weights: many numbers.
    """

    reference: ClassVar[str] = "Nobody 2026"

    tilt: NonNegative = 1.0
    every: Count = 1
    weights: Numbers = (1.0,)

    def __post_init__(self):
        super().__post_init__()
        if self.every == 13:
            raise KeyError("thirteen")
        if self.every == 14:
            raise ValueError("every must not be 14")
        if self.every == 15:
            raise SystemExit("fifteen")

    def perturbation(self, loss, w, memory, t):
        return self.tilt * (self.radius(t) * loss.unit(loss.gradient(w))), memory.own


@dataclass(frozen=True, kw_only=True)
class Plain:
    """Gradient descent.

    rate: of learning.
    """

    rate: Positive

    def init(self, w):
        return None

    def step(self, loss, w, memory, t):
        return self.update(loss, w, loss.gradient(w), memory, t)

    def update(self, loss, w, g, memory, t):
        return w - self.rate * g, memory

    def probe(self, loss, w, memory, t):
        return w


class NoDataclass:
    init = step = probe = print


@dataclass
class Changeable(NoDataclass):
    lr: float


class Undecorated(Tilted):
    more: float


@dataclass(frozen=True)
class NoStep:
    def init(self, w):
        return None


@dataclass(frozen=True)
class NoUpdate(NoDataclass):
    lr: float


@dataclass(frozen=True)
class OddName(NoDataclass):
    name: str


@dataclass(frozen=True)
class OddType(NoDataclass):
    rule: SomeRule


@dataclass(frozen=True)
class Listed(NoDataclass):
    numbers: list[float]


@dataclass(frozen=True)
class Objects(NoDataclass):
    thing: NoStep


@dataclass(frozen=True)
class Unknown(NoDataclass):
    thing: "Missing"


@dataclass(frozen=True, kw_only=True)
class Shares(Tilted):
    lr: float


@dataclass(frozen=True, kw_only=True)
class NoGradient(Wrapper):
    pass
'''.replace("    rule: SomeRule\n", "    rule: object\n")


@pytest.fixture
def rules(write: Callable[..., Path]) -> Path:
    return write(RULES, "my_rules.py")


def own(name: str, **given: object) -> str:
    return str({"name": f"my_rules.py:{name}", **given}).replace("True", "true")


class TestIsReadLikeOurs:
    def test_its_parameters_are_keys_next_to_those_of_its_base(self, rules: Path, load: Load) -> None:
        rule = (
            load(set=["optimizer=" + own("Tilted", rho=0.1, lr=0.2, tilt=2, weights=[1, 2.5], momentum=0.5)])
            .base_run()
            .optimizer
        )
        assert (type(rule).__name__, rule.rho, rule.tilt, rule.every) == ("Tilted", 0.1, 2.0, 1)
        assert rule.weights == (1.0, 2.5) and hash(rule)
        assert rule.base == SGD(lr=0.2, momentum=0.5)

    def test_it_has_the_theory_scale(self, rules: Path, load: Load) -> None:
        run = load(set=["optimizer=" + own("Tilted", rho={"theory": 2}, lr=0.2)]).base_run()
        ours = load(set=["optimizer={name: sam, rho: {theory: 2}, lr: 0.2}"]).base_run()
        assert run.optimizer.rho == ours.optimizer.rho and run.theory == ours.theory

    def test_it_is_a_base_of_ours_and_of_its_own(self, rules: Path, load: Load) -> None:
        base = "my_rules.py:Plain"
        for name in ("sam", "my_rules.py:Tilted"):
            rule = {"name": name, "base": base, "rho": 0.1, "rate": 0.3}
            assert load(set={"optimizer": rule}).base_run().optimizer.base.rate == 0.3

    def test_its_own_keys_are_axes(self, rules: Path, load: Load, problems: Problems) -> None:
        sweep = "sweep: {optimizer.tilt: {linspace: [1, 2, 3]}, optimizer.every: {geomspace: [1, 9, 3]}}"
        text = "optimizer: {name: 'my_rules.py:Tilted', lr: 0.1, rho: 0.2}\n" + REST
        config = load(sweep, base=text)
        (line,) = problems("sweep: {optimizer.tlit: [1]}", base=text)
        assert line.endswith("no such key; did you mean 'optimizer.tilt'?")
        found = [(run.optimizer.tilt, run.optimizer.every) for run in config.runs()]
        assert found == [(tilt, every) for tilt in (1.0, 1.5, 2.0) for every in (1, 3, 9)]

    def test_a_file_is_relative_to_the_config_that_names_it(self, rules: Path, write: Callable[..., Path]) -> None:
        Path("lab").mkdir()
        rules.rename("lab/my_rules.py")
        path = write("optimizer: {name: 'my_rules.py:Plain', rate: 0.1}" + REST, "lab/x.yaml")
        write(f"extends: {path}\nseed: 3\n", "y.yaml")
        ids = {load_config(name, set={"seed": 0}).base_run().run_id for name in ("lab/x.yaml", "y.yaml")}
        assert len(ids) == 1
        swept = load_config(
            "y.yaml", set=["sweep={optimizer: [{name: lab/my_rules.py:Plain, rate: 0.1}, {name: sgd, lr: 1}]}"]
        )
        assert next(swept.runs()).run_id not in ids  # its seed is 3
        assert type(next(swept.runs()).optimizer).__name__ == "Plain"

    def test_its_schedule_and_tracker_too(self, rules: Path, load: Load) -> None:
        rules.write_text(
            RULES
            + '''

@dataclass(frozen=True)
class Halves:
    """Half at every step."""

    def factor(self, t):
        return 0.5**t


@dataclass(frozen=True)
class Ones:
    """Nothing but ones."""

    def __call__(self, view):
        return {"ones": view.grad_norm * 0 + 1}
'''
        )
        run = load(
            set={
                "optimizer.lr_schedule": "my_rules.py:Halves",
                "record.trackers": ["loss", "my_rules.py:Ones"],
            }
        ).base_run()
        assert run.optimizer.base.rate(3) == 0.01 / 8
        columns = run.columns()
        assert columns["optimizer.lr_schedule"] == "my_rules.py:Halves" and columns["optimizer.lr_schedule.source"]
        assert {source.name for source in run.sources} == {"my_rules.py:Halves", "my_rules.py:Ones"}

    def test_it_is_listed_like_ours(self, rules: Path) -> None:
        (entry,) = describe("optimizers", "my_rules.py:Tilted")
        assert (entry.doc, entry.reference, entry.engines) == ("SAM with a tilt.", "Nobody 2026", ("gram", "weights"))
        listed = {parameter.name: (parameter.default, parameter.doc) for parameter in entry.parameters}
        assert listed["tilt"] == (1.0, "how much of it.") and listed["rho"][0] is MISSING
        assert entry.bases[0] == "sgd"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{name: missing.py:MySAM}", "cannot read missing.py: No such file or directory"),
        ("{name: missing.rules:MySAM}", "there is no module 'missing.rules'; a file is named as in my_rules.py:MySAM"),
        ("{name: json.missing:MySAM}", "there is no module 'json.missing'; a file is named as in my_rules.py:MySAM"),
        (
            "{name: json:JSONDecoder}",
            "json.decoder:JSONDecoder cannot be used here: it lacks the method init, step, probe",
        ),
        ("{name: ../my_rules.py:Plain, rate: 1}", "../my_rules.py:Plain: code of your own lies beside the config"),
        ("{name: /tmp/my_rules.py:Plain, rate: 1}", "/tmp/my_rules.py:Plain: code of your own lies beside the config"),
        ("{name: lab/../../my_rules.py:Plain, rate: 1}", "lab/../../my_rules.py:Plain: code of your own lies beside"),
        (own("Tiltd"), "my_rules.py has no class 'Tiltd'; it has Tilted, Plain, NoDataclass, Changeable"),
        (own("dataclass"), "my_rules.py has no class 'dataclass'; it has Tilted"),
        (own("NoStep"), "my_rules.py:NoStep cannot be used here: it lacks the method step, probe"),
        (own("NoGradient", lr=1), "my_rules.py:NoGradient cannot be used here: it lacks the method gradient"),
        (own("NoDataclass"), "my_rules.py:NoDataclass needs @dataclass(frozen=True, kw_only=True) above it"),
        (own("Changeable", lr=1), "my_rules.py:Changeable needs @dataclass(frozen=True, kw_only=True) above it"),
        (own("Undecorated", lr=1), "my_rules.py:Undecorated needs @dataclass(frozen=True, kw_only=True) above it"),
        (
            own("OddName"),
            "my_rules.py:OddName has a parameter name, which is reserved in configs: rename it",
        ),
        (
            own("OddType"),
            "my_rules.py:OddType has a parameter rule that no config can set: use a number, a word, true or",
        ),
        (own("Objects"), "my_rules.py:Objects has a parameter thing that no config can set"),
        (own("Listed"), "my_rules.py:Listed has a parameter numbers that no config can set"),
        (own("Unknown"), "my_rules.py:Unknown has an annotation that cannot be read: name 'Missing' is not defined"),
        (own("Shares", lr=1, rho=1), "Shares and its base SGD both have a parameter lr: rename it in yours"),
    ],
)
def test_an_unusable_class_is_refused_with_the_reason(rules: Path, problems: Problems, rule: str, message: str) -> None:
    (line,) = problems(set=[f"optimizer={rule}"])
    assert line.startswith(f"--set: optimizer.name: {message}")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lr=-1", "optimizer.lr: expected a number > 0, found -1"),
        ("rho=-1", "optimizer.rho: expected a number >= 0 or {theory: a number >= 0}, found -1"),
        ("tilt=-1", "optimizer.tilt: expected a number >= 0, found -1"),
        ("tlit=1", "optimizer.tlit: unknown key; did you mean 'tilt'?"),
        ("every=14", "optimizer.every: every must not be 14"),
        ("every=13", "optimizer: my_rules.py:28: KeyError: 'thirteen'"),
        ("every=15", "optimizer: my_rules.py:32: SystemExit: fifteen"),
        (
            "base=my_rules.py:NoUpdate",
            "optimizer.base: my_rules.py:NoUpdate cannot be used here: it lacks the method update",
        ),
        (
            "base=my_rules.py:Tilted",
            "optimizer.base: my_rules.py:Tilted cannot be used here: it lacks the method update",
        ),
        ("start=100", "optimizer.start: expected an integer < train.n_steps = 100, found 100"),
    ],
)
def test_a_value_that_cannot_be(rules: Path, problems: Problems, setting: str, message: str) -> None:
    (line,) = problems(set=["optimizer=" + own("Tilted", rho=0.1, lr=0.2), f"optimizer.{setting}"])
    assert line.startswith(f"--set: {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nclass MySAM(\n", "my_rules.py:2: SyntaxError: '(' was never closed"),
        ("x = 1\n\ny = x + z\n", "my_rules.py:3: NameError: name 'z' is not defined"),
        ("import missing\n", "my_rules.py:1: ModuleNotFoundError: No module named 'missing'"),
        ("import sys\nsys.exit('bye')\n", "my_rules.py:2: SystemExit: bye"),
        (b"\xff\xfe", "cannot read my_rules.py: not UTF-8 text"),
        ("", "my_rules.py has no class 'MySAM'; it has no class at all"),
    ],
)
def test_a_file_that_cannot_be_read(
    write: Callable[..., Path], text: str | bytes, message: str, problems: Problems
) -> None:
    write(text, "my_rules.py")
    (line,) = problems(base="optimizer: {name: 'my_rules.py:MySAM', lr: 0.01}" + REST)
    assert line == f"x.yaml:1: optimizer.name: {message}"


@pytest.mark.parametrize(("encoding", "first"), [("utf-8-sig", ""), ("latin-1", "# coding: latin-1\n")])
def test_a_file_is_read_in_the_encoding_that_python_runs_it_in(
    write: Callable[..., Path], load: Callable[..., SweepConfig], encoding: str, first: str
) -> None:
    text = first + RULES + "\nNAME = 'Pers\u00e9e'\n"
    write(text.encode(encoding), "my_rules.py")
    run = load(set=["optimizer=" + own("Tilted", rho=0.1, lr=0.2)]).base_run()
    assert sys.modules[type(run.optimizer).__module__].NAME == "Pers\u00e9e"
    assert next(iter(run.sources)).text == text


def test_networks_are_not_open_to_classes(rules: Path, problems: Problems) -> None:
    (line,) = problems(set=["network.model=my_rules.py:Plain"])
    assert line.startswith("--set: network.model: expected one of two_layer_cnn, quadratic") and "my_rules.py" in line
