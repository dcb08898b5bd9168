"""A user's data model: read like a built-in one, part of the run's identity, refused in one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import featlearn as fl
from featlearn.config import describe

THREE = Path(__file__).parents[1] / "three_classes.py"
CONFIG = """
data: {model: "three_classes.py:ThreeClasses", n_samples: 6, dim: 40, signal_norm: 2.0}
network: {n_filters: 2, loss: softmax, init_std: 0.05}
optimizer: {name: sgd, lr: 0.1}
train: {n_steps: 4}
"""
SWISH = """
class Swish:
    value = "z * sigmoid(2 * z)"
    slope = "sigmoid(2 * z) * (1 + 2 * z * sigmoid(-2 * z))"
    second = "4 * sigmoid(2 * z) * sigmoid(-2 * z) * (1 + z * (sigmoid(-2 * z) - sigmoid(2 * z)))"
"""
Problems = Callable[..., list[str]]


@pytest.fixture
def model(write: Callable[..., Path]) -> Path:
    """An example of a model, next to the config that names it."""
    write()
    return Path(shutil.copy(THREE, "three_classes.py"))


def test_it_runs_in_both_engines_and_from_its_law(model: Path, write: Callable[..., Path]) -> None:
    for settings in ({"engine": "gram"}, {"engine": "weights"}, {"sampling": "gram"}):
        trajectory = fl.simulate(fl.load_config(write(CONFIG), set=settings), device="cpu")
        assert trajectory.status == "ok" and trajectory.values["test_error"][-1] < 1
        assert trajectory.run.columns()["data.model"] == "three_classes.py:ThreeClasses"


def test_its_source_is_part_of_the_id(model: Path, write: Callable[..., Path]) -> None:
    before = fl.load_config(write(CONFIG)).base_run()
    assert before.columns()["data.source"] and [source.name for source in before.sources] == [
        "three_classes.py:ThreeClasses"
    ]
    model.write_text(model.read_text() + "# edited\n")
    assert fl.load_config("x.yaml").base_run().run_id != before.run_id


def test_a_sweep_over_its_numbers_sends_its_source_to_workers(model: Path, write: Callable[..., Path]) -> None:
    """So does a sweep over activations, of which one is the user's."""
    write(SWISH, "swish.py")
    axes = "data.signal_norm: [1.0, 2.0], data.flip_prob: [0, 0.1], network.activation: [relu, 'swish.py:Swish']"
    path = write(CONFIG + f"sweep: {{{axes}, seed: [0, 1]}}")
    report = fl.sweep(fl.load_config(path), "store", n_jobs=2, device="cpu", progress=False)
    assert (report.done, report.failed) == (16, 0)
    last = fl.summary("store")
    assert set(last["data.model"]) == {"three_classes.py:ThreeClasses"}
    assert set(last["network.activation"]) == {"relu", "swish.py:Swish"}


def test_a_list_of_models_is_an_axis(model: Path, load: Callable[..., fl.SweepConfig]) -> None:
    own = "{model: 'three_classes.py:ThreeClasses', signal_norm: [1, 2]}"
    sweep = f"sweep: {{data: [{own}, {{model: xor, signal_norm: 1, angle: [60, 90]}}]}}"
    names = [type(run.data).__name__ for run in load(sweep, set={"network.loss": "softmax"}).runs()]
    assert names == ["ThreeClasses"] * 2 + ["XOR"] * 2


def test_it_is_listed(model: Path) -> None:
    (entry,) = describe("data", "three_classes.py:ThreeClasses")
    assert {"n_samples", "dim", "signal_norm"} <= {parameter.name for parameter in entry.parameters}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    def population", "    def people", "it lacks the method population"),
        ("    n_common: ClassVar[int] = 3\n", "", "it lacks n_common, a parameter or a class attribute"),
        (
            '    noise: str = "shared"',
            '    noise: str = "shared"\n    model: int = 1',
            "has a parameter model, which is",
        ),
        ("range(3))\n        return Frame", "range(2))\n        return Frame", "frame.gram is not a symmetric 3 x 3"),
        ("self.kinds(", "self.kinds(x for x in list(", "SyntaxError"),
        ("square if", "square / 0 if", "three_classes.py:29: ZeroDivisionError: float division by zero"),
        ("(name, float(label), label, 1.0)", "(name, float(label), 7, 1.0)", "shows a signal that is none of the 3"),
        ("return replace(drawn,", "return replace(drawn, true_labels=classes / 2,", "labels other than 0, 1, 2"),
        (
            "return replace(drawn,",
            "return replace(drawn, shown=drawn.shown[:, 1:],",
            "draw returns shown of shape [1, 5",
        ),
        ("return replace(drawn,", "return replace(drawn, shown=drawn.shown + 1,", "draw returns shown that are not"),
        ("return replace(drawn,", "return undefined(drawn,", ": NameError: name 'undefined' is not defined"),
        ("        square = self", "        square = self.nothing + self", "has no attribute 'nothing'"),
    ],
)
def test_a_missing_or_invalid_part_is_reported_in_one_line(
    model: Path, problems: Problems, old: str, new: str, message: str
) -> None:
    assert old in model.read_text()
    model.write_text(model.read_text().replace(old, new))
    (line,) = problems(base=CONFIG)
    assert line.startswith("x.yaml:2: data.model: ") or line.startswith("x.yaml:2: data: ")
    assert message in line


def test_a_loss_of_two_classes_is_refused(model: Path, problems: Problems) -> None:
    assert problems(base=CONFIG.replace("loss: softmax, ", "")) == [
        "x.yaml:3: network.loss: logistic is a loss of two classes, and the data have 3: use softmax"
    ]


MARGINS = Path(__file__).parents[1] / "mixed_margins.py"
TRACKER = '''
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Margin:
    """The margins y_i F(x_i) of the training set: margin_min and margin_mean."""

    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    def __call__(self, view):
        margins = view.engine.labels * view.outputs[..., 0]
        return {"margin_min": margins.amin(1), "margin_mean": margins.mean(1)}
'''
SHORT = """
data: {model: "mixed_margins.py:MixedMargins", n_samples: 8, dim: 60}
network: {n_filters: 2, init_std: {theory: 1}}
optimizer: {name: sgd, lr: {formula: 0.1 * sqrt(1000 / dim)}}
train: {n_steps: 6}
record: {every: 3, trackers: [loss, decomposition, test_error]}
"""


@pytest.fixture
def margins(write: Callable[..., Path]) -> Path:
    """The model in fifteen lines, next to the config that names it."""
    write()
    return Path(shutil.copy(MARGINS, "mixed_margins.py"))


def test_fifteen_lines_run_in_both_engines_and_at_any_dimension(margins: Path, write: Callable[..., Path]) -> None:
    gram, weights, law = (
        fl.simulate(fl.load_config(write(SHORT), set=settings), device="cpu")
        for settings in ({"sampling": "vectors"}, {"engine": "weights"}, {"data.dim": 10**9})
    )
    assert (gram.run.engine, weights.run.engine, law.run.sampling) == ("gram", "weights", "gram")
    for name, column in gram.values.items():
        assert column == pytest.approx(weights.values[name], rel=1e-9, abs=1e-12), name
    assert {"test_error.full", "test_error.small", "signal_coef_max"} <= law.values.keys() and law.status == "ok"
    body = margins.read_text().split("@dataclass")[1].strip().splitlines()
    assert len([line for line in body if line.strip()]) <= 16


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1 - self.small_share, 1.0", "0.9, 1.0", "the probabilities of population() add up to 1.15, not to 1"),
        ("share / 2, sign", "share / 2 + 0.2 * sign, sign", "a kind of population() has the probability -0.075"),
        ("share / 2, sign", "share / 2, 0.5 * sign", "a kind of population() has the label 0.5"),
        ("sign * size * self", "size / 0.0 * self", "ZeroDivisionError: float division by zero"),
        ("sign * size * self", "float('nan') * self", "a kind of population() has a strength that is not finite"),
        ("std=self.noise_std", "std=-1.0", "frame.noises have a standard deviation that is negative or not finite"),
        ("noise=0, std", "noise=None, std", "frame holds no signal, or no noise: there must be at least one of each"),
        ("noise=0, std", "noise=0, times=0, std", "slots or frame.noises have times that are no integers >= 1"),
        ("frozen=True, ", "", "TypeError: cannot inherit non-frozen dataclass from a frozen one"),
        ("def population", "def kinds", "it lacks the method population"),
        (
            "    def population",
            "    def gram(self):\n        return ((1.0, 2.0), (2.0, 1.0))\n\n    def population",
            "frame.gram is not positive semidefinite: no vectors have these inner products",
        ),
        (
            "    def population",
            "    n_common = 9\n\n    def population",
            "draw returns shown that are not integers from 0 to 11",
        ),
        (
            "sign * size",
            "sign * size * getattr(self.fraction, 'shape', [2.0])[0]",
            "draw returns other strengths for a",
        ),
    ],
)
def test_a_population_that_declares_nonsense_is_refused(
    margins: Path, problems: Problems, old: str, new: str, message: str
) -> None:
    assert old in margins.read_text()
    margins.write_text(margins.read_text().replace(old, new))
    (line,) = problems(base=SHORT)
    assert line.startswith("x.yaml:2: data") and "argin" in line
    assert message in line


def test_a_tracker_in_twelve_lines(margins: Path, write: Callable[..., Path]) -> None:
    write(TRACKER, "my_trackers.py")
    base = {"record.trackers": ["loss", "my_trackers.py:Margin"], "sampling": "vectors"}
    path = write(SHORT)
    gram, weights = (
        fl.simulate(fl.load_config(path, set={**base, "engine": engine}), device="cpu")
        for engine in ("gram", "weights")
    )
    assert (gram.values["margin_min"] < gram.values["margin_mean"]).all()
    assert gram.values["margin_min"] == pytest.approx(weights.values["margin_min"], rel=1e-9, abs=1e-12)
    assert {source.name for source in gram.run.sources} >= {"my_trackers.py:Margin"}
