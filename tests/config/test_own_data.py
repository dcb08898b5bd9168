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
        ("square if", "square / 0 if", "an inner product of signals is not a finite number"),
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
