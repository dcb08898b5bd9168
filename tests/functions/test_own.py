"""A user's activation and loss: as the built-in ones with the same formulas, in both engines; refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import featlearn as fl
from featlearn.config import ConfigError, load_config
from featlearn.functions import activation, loss
from featlearn.functions.compiled import activation_kind, expansion, loss_kind, loss_seconds, loss_slopes

TEXT = '''
class Swish:
    """z / (1 + exp(-2 z))."""

    value = "z * sigmoid(2 * z)"
    slope = "sigmoid(2 * z) * (1 + 2 * z * sigmoid(-2 * z))"
    second = "4 * sigmoid(2 * z) * sigmoid(-2 * z) * (1 + z * (sigmoid(-2 * z) - sigmoid(2 * z)))"


class Cubed:
    value = "positive(z) * positive(z) * positive(z)"
    slope = "3 * positive(z) * positive(z)"
    second = "6 * positive(z)"
    degree = 3


class Steep:
    """The logistic loss of twice the margin, halved."""

    value = "softplus(-2 * m) / 2"
    slope = "-y * sigmoid(-2 * m)"
    second = "2 * sigmoid(2 * m) * sigmoid(-2 * m)"


class Plain:
    value = "softplus(-m)"
    slope = "-y / (1 + exp(m))"
    second = "sigmoid(m) * sigmoid(-m)"
'''
BASE: dict[str, Any] = {
    "data": {"n_samples": 6, "dim": 40, "signal_norm": 2.0},
    "network": {"n_filters": 3, "init_std": 0.1},
    "optimizer": {"name": "sam", "lr": 0.2, "rho": 0.05},
    "train": {"n_steps": 12},
    "record": {"every": 4, "trackers": ["loss", "decomposition", "test_error", "sharpness"]},
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of functions in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("my_functions.py").write_text(TEXT)
    return tmp_path / "my_functions.py"


def config(activation: str = "relu", loss: str = "logistic", **more: Any) -> fl.SweepConfig:
    """A config with functions of the file, capitalised, or built-in ones."""
    own = {key: f"my_functions.py:{word}" for key, word in (("activation", activation), ("loss", loss))}
    words = {"activation": activation, "loss": loss}
    given = {f"network.{key}": own[key] if word[0].isupper() else word for key, word in words.items()}
    return load_config(BASE, set={**given, **more})


def numbers(**words: Any) -> dict[str, np.ndarray]:
    return fl.simulate(config(**words), device="cpu").values


def test_the_compiled_loops_are_those_of_the_built_in_functions_bit_by_bit(file: Path) -> None:
    ours, theirs = numbers(activation="Cubed", loss="Plain"), numbers(activation="relu3")
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize(
    "words", [{"activation": "Swish"}, {"activation": "Swish", "loss": "Steep", "dtype": "float32"}]
)
def test_both_engines_agree(file: Path, words: dict[str, str]) -> None:
    gram, weights = (numbers(**words, engine=engine, sampling="vectors") for engine in ("gram", "weights"))
    close = 2e-3 if "dtype" in words else 1e-11
    for name in gram:
        np.testing.assert_allclose(gram[name], weights[name], rtol=close, atol=close, err_msg=name)
    assert gram["test_error"][-1] < 0.5 and gram["sharpness"][-1] > 0


def test_any_dimension_from_the_law(file: Path) -> None:
    run = config("Swish", "Steep", **{"data.dim": 10**9, "network.init_std": {"theory": 1}})
    trajectory = fl.simulate(run, device="cpu")
    assert (trajectory.run.sampling, trajectory.status) == ("gram", "ok")


def test_the_class_is_named_and_its_source_is_part_of_the_id(file: Path) -> None:
    run = config("Swish", "Steep").base_run()
    columns = run.columns()
    assert (columns["network.activation"], columns["network.loss"]) == (
        "my_functions.py:Swish",
        "my_functions.py:Steep",
    )
    assert {source.name for source in run.sources} == {"my_functions.py:Swish", "my_functions.py:Steep"}
    file.write_text(TEXT + "# edited\n")
    again = config("Swish", "Steep").base_run()
    assert again.run_id != run.run_id and again.columns()["network.loss.source"] != columns["network.loss.source"]
    assert "network.loss.source" not in config("relu").base_run().columns()


def test_it_is_relative_to_the_file_that_names_it(file: Path, tmp_path_factory: Any, monkeypatch: Any) -> None:
    text = "data: {signal_norm: 1}\nnetwork: {activation: 'my_functions.py:Cubed'}\noptimizer: {name: sgd, lr: 1}\n"
    (file.parent / "x.yaml").write_text(text + "train: {n_steps: 1}\n")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    act = activation(load_config(file.parent / "x.yaml").base_run().network.activation)
    assert act.degree == 3 and not act.smooth and act.second is not None


def test_the_code_at_the_address_is_that_of_the_formulas(file: Path) -> None:
    run = config("Swish", "Steep").base_run()
    act, of = activation(run.network.activation), loss(run.network.loss)
    z = torch.linspace(-5, 5, 41, dtype=torch.float64)
    assert act.second is not None
    found = np.array([expansion(activation_kind(act.name), x) for x in z.numpy()])
    np.testing.assert_allclose(found, torch.stack([act.value(z), act.slope(z), act.second(z)], 1), atol=1e-14)
    f, y = z[None].numpy(), np.where(np.arange(41) % 2, 1.0, -1.0)
    slopes, seconds = np.empty_like(f), np.empty(41)
    loss_slopes(loss_kind(of.name), f, y, np.full(41, 2.0), slopes)
    loss_seconds(loss_kind(of.name), f, y, seconds)
    np.testing.assert_allclose(slopes[0], 2 * of.slope(z[:, None], torch.as_tensor(y))[:, 0], atol=1e-14)
    np.testing.assert_allclose(seconds, of.root(z[:, None], torch.as_tensor(y))[:, 0, 0] ** 2, atol=1e-14)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class Swish", "class Swash", "my_functions.py has no class 'Swish'; it has Swash, Cubed, Steep, Plain"),
        ('    value = "z * sigmoid(2 * z)"\n', "", "it lacks value, a formula as text"),
        ('"z * sigmoid(2 * z)"', "3", "value is no text: 3"),
        ('"z * sigmoid(2 * z)"', '"z * sigmoid(2 * x)"', "there is no variable x; there is z"),
        ('"z * sigmoid(2 * z)"', '"z * logistic(z)"', "there is no function logistic; there are positive, step"),
        ('"z * sigmoid(2 * z)"', '"z ** 2"', "expected + - * / alone: a power is a product"),
        ('"z * sigmoid(2 * z)"', '"z *"', "not an expression: invalid syntax"),
        ('"z * sigmoid(2 * z)"', '"where(z, 1)"', "where takes 3 arguments"),
        ('"z * sigmoid(2 * z)"', "\"__import__('os')\"", "there is no function __import__"),
        ('"z * sigmoid(2 * z)"', '"z.real"', "z.real is not allowed"),
        ('"z * sigmoid(2 * z)"', '"z / (z - 1)"', "value is not a finite number at z = 1"),
        ("(1 + 2 * z", "(1 + 3 * z", "slope is not the derivative of value: at z = -"),
        ('second = "4', 'second = "5', "second is not the derivative of slope: at z = -"),
        ('    second = "4', '    other = "4', "second is not the derivative of slope: at z = -"),
        ("class Swish:", "class Swish:\n    degree = 1", "degree = 1 is wrong: value(0.3 z) at z = -"),
        ("class Swish:", "class Swish:\n    degree = 0.5", "degree is no integer >= 1: 0.5"),
        ('"softplus(-2 * m) / 2"', '"softplus(-2 * z) / 2"', "there is no variable z; there is f and y and m"),
        ("-y * sigmoid(-2 * m)", "y * sigmoid(-2 * m)", "slope is not the derivative of value: at f = -"),
        ("class Steep:", "class Steep:\n    degree = 1", "a loss has no degree"),
    ],
)
def test_nonsense_is_refused_with_a_reason(file: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    file.write_text(TEXT.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        config("Swish", "Steep")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(("--set: network.activation: my_functions.py", "--set: network.loss: my_functions.py"))
    assert message in line


def test_a_loss_of_two_classes_is_refused_by_its_own_name(file: Path) -> None:
    class Three:
        n_classes = 3

    assert config("relu", "Steep").base_run().network.refusal(Three).startswith("Steep is a loss of two classes")
