"""`featlearn list config`: every key that a config can hold, described correctly."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import jsonschema
import pytest
import yaml

from featlearn.config import Key, load_config, reference, schema
from featlearn.config.sections import SECTIONS, known_keys, nested
from featlearn.runs import Train
from featlearn.texts import key_text, keys_text

KEYS = reference()
BY_NAME = {key.name for key in KEYS}
VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_every_key_of_a_sweep_and_of_a_file_is_there() -> None:
    assert {*known_keys(), "extends", "sweep", "sweep.zip"} <= BY_NAME
    assert {f"sweep.KEY.{word}" for word in ("linspace", "geomspace", "range")} <= BY_NAME


def test_every_field_of_every_class_is_there_with_the_word_that_has_it() -> None:
    sections = {**SECTIONS, "record.trackers": nested(SECTIONS["record"].keys["trackers"].named)}  # type: ignore
    sections |= {
        f"optimizer.{name}": nested(SECTIONS["optimizer"].keys[name].named)  # type: ignore
        for name in ("lr_schedule", "rho_schedule")
    }
    for name, section in sections.items():
        for word, cls in section.table.items():
            for field in [field for field in fields(cls) if field.name != "base"]:
                full = f"{name}.{field.name}".lstrip(".")
                listed = [key for key in KEYS if key.name == full]
                assert [key for key in listed if not key.kinds or word in key.kinds], (full, word)


def test_the_keys_that_nothing_listed_before() -> None:
    defaults = {key.name: key.default for key in KEYS}
    assert defaults["record.every"] == {"log": 50} and defaults["sampling"] == "auto"
    assert defaults["dtype"] == "float64" and defaults["train.batch_size"] == "full"
    assert defaults["train.n_steps"] is MISSING and defaults["train.stop_at_train_loss"] is None
    activation = next(key for key in reference("network.activation") if key.kinds == ("two_layer_cnn",))
    assert "relu" in activation.expected and "softplus" in activation.expected


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_a_key_is_described_and_its_example_is_a_config_that_gives_it(key: Key) -> None:
    assert key.doc and key.expected and "a value" not in key.expected
    config = yaml.safe_load(key.example)
    assert VALIDATOR.is_valid(config), (key.example, list(VALIDATOR.iter_errors(config)))
    found = config
    for part in key.name.split("."):
        found = found[0] if isinstance(found, list) else found
        found = next(iter(found.values())) if part == "KEY" else found[part]
    assert found != key.default


SOUND: dict[str, Any] = {
    "data": {"n_samples": 200, "dim": 1000, "signal_norm": 1.0},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "train": {"n_steps": 1000},
}


@pytest.mark.parametrize(
    "key",
    [key for key in KEYS if key.name.startswith(("train.", "record.every", "dtype", "seed", "sampling", "sweep"))],
)
def test_examples_load(key: Key) -> None:
    config = yaml.safe_load(key.example)
    landscape = {"network": "quadratic", "data": {"model": "none"}} if key.name == "train.gradient_noise" else {}
    sound = {**SOUND, **landscape}
    merged = {name: {**sound.get(name, {}), **value} if name in sound else value for name, value in config.items()}
    load_config({**sound, **merged})


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("train", {"train", *(f"train.{field.name}" for field in fields(Train))}),
        ("dim", {"data.dim"}),
        ("optimizer.rho", {"optimizer.rho", "optimizer.rho.theory"}),
        ("n_points", {"record.trackers.n_points"}),
        ("log", {"record.every.log"}),
        ("sampling", {"sampling"}),
    ],
)
def test_a_word_finds_a_section_a_key_or_a_last_part(word: str, names: set[str]) -> None:
    assert {key.name for key in reference(word)} == names


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("activations", "did you mean 'network.activation'"),
        ("train.n_stpes", "did you mean 'train.n_steps'"),
        ("qqq", "known here: name, seed"),
    ],
)
def test_an_unknown_key_is_refused(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reference(word)


def test_the_texts() -> None:
    (rho, usam, _) = reference("optimizer.rho")
    assert key_text(rho).splitlines()[:4] == [
        "optimizer.rho: radius of the perturbation; a number or {theory: c}.",
        "  type     a number >= 0 or {theory: a number >= 0}",
        "  default  must be given",
        "  example  optimizer: {name: sam, rho: 0.1}",
    ]
    assert usam.kinds == ("usam", "n_usam", "m_usam") and key_text(usam).endswith("  of       usam, n_usam, m_usam")
    lines = keys_text(reference("record")).splitlines()
    assert lines[1].startswith("record.every ") and "default {log: 50}" in lines[1]
    assert len(keys_text(KEYS).splitlines()) == len(KEYS)
