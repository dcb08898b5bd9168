"""Valid and invalid sections, with the messages of the latter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featlearn.config import SweepConfig
from featlearn.config.parsed import read_section
from featlearn.config.sections import SECTIONS, TRACKER, Section, known_keys
from featlearn.config.source import Node
from featlearn.optim import SAM, SGD
from featlearn.trackers import TRACKERS, Decomposition, Loss, TestError
from featlearn.types import Bound, Positive, TheoryScale

Load = Callable[..., SweepConfig]
Problems = Callable[..., list[str]]


def tree(value: Any, key: str = "") -> Node:
    """A value as nodes."""
    if isinstance(value, dict):
        return Node({k: tree(v, f"{key}.{k}".lstrip(".")) for k, v in value.items()}, "x.yaml:1", key)
    return Node([tree(v, f"{key}[]") for v in value] if isinstance(value, list) else value, "x.yaml:1", key)


INTEGER = "expected an integer >= "
NUMBER = "expected a number >= "


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        # unknown keys
        ("nme=x", "nme: unknown key; did you mean 'name'?"),
        ("dim=3", "dim: unknown key; did you mean 'data.dim'?"),
        ("optimiser={}", "optimiser: unknown key; did you mean 'optimizer'?"),
        ("sweeep={}", "sweeep: unknown key; did you mean 'sweep'?"),
        ("data.n_sample=3", "data.n_sample: unknown key; did you mean 'n_samples'?"),
        ("network.rho=3", "network.rho: unknown key; did you mean 'optimizer.rho'?"),
        ("train.qqq=3", "train.qqq: unknown key; known here: n_steps, batch_size, stop_at_train_loss"),
        ("optimizer={name: sgd, lr: 1, rho: 3}", "optimizer.rho: not a key of SGD, which has lr, momentum"),
        (
            "optimizer={name: sgd, lr: 1, base: sgd}",
            "optimizer.base: not a key of SGD, which has lr, momentum",
        ),
        # wrong types
        ("data.n_samples=true", INTEGER + "2 and <= 1000000, found true"),
        ("data.n_samples='20'", INTEGER + '2 and <= 1000000, found "20"'),
        ("data.n_samples=20.5", INTEGER + "2 and <= 1000000, found 20.5"),
        ("data.n_samples=null", INTEGER + "2 and <= 1000000, found null"),
        ("data.n_samples=[20]", INTEGER + "2 and <= 1000000, found [20]"),
        ("data.noise_std=on", 'expected a number > 0, found "on"'),
        ("data.noise_std=true", "expected a number > 0, found true"),
        ("network.bias=1", "network.bias: expected true or false, found 1"),
        (
            "network.activation=gleu",
            "tanh, erf, identity, or your own: file.py:Class, found \"gleu\"; did you mean 'gelu'?",
        ),
        ("engine=gramm", 'engine: expected one of auto, gram, weights, found "gramm"'),
        ("dtype=float16", 'dtype: expected one of float64, float32, found "float16"'),
        ("name=3", "name: expected text, found 3"),
        ("name=''", 'name: expected text, found ""'),
        ("data=[1]", "data: expected a mapping of keys, found [1]"),
        ("train.batch_size=half", 'train.batch_size: expected full or an integer >= 1, found "half"'),
        # out of bounds, not finite
        ("data.n_samples=1", INTEGER + "2 and <= 1000000, found 1"),
        ("data.dim=1", "expected an integer >= 2 and <= 1000000000000000, found 1"),
        ("data.signal_norm=-1", "data.signal_norm: expected a number >= 0 or null, found -1"),
        ("data.noise_std=0", "expected a number > 0, found 0"),
        ("data.noise_std=.nan", "expected a number > 0, found NaN"),
        ("data.noise_std=1e999", "expected a number > 0, found Infinity"),
        ("data.flip_prob=0.5", NUMBER + "0 and < 0.5, found 0.5"),
        ("optimizer.lr=-0.1", "optimizer.lr: expected a number > 0, found -0.1"),
        ("optimizer.momentum=1", NUMBER + "0 and < 1, found 1"),
        ("optimizer.rho=-1", NUMBER + "0 or {theory: a number >= 0}, found -1"),
        ("optimizer.rho={theory: -1}", NUMBER + '0 or {theory: a number >= 0}, found {"theory": -1}'),
        ("optimizer.rho={theory: true}", NUMBER + '0 or {theory: a number >= 0}, found {"theory": true}'),
        ("optimizer.rho={teory: 1}", NUMBER + '0 or {theory: a number >= 0}, found {"teory": 1}'),
        ("optimizer.rho={theory: 1, c: 2}", NUMBER + "0 or {theory: a number >= 0}, found"),
        ("optimizer.lr={theory: 1}", 'optimizer.lr: expected a number > 0, found {"theory": 1}'),
        ("seed=-1", "seed: " + INTEGER + "0, found -1"),
        ("seed=9223372036854775808", "seed: expected an integer below 2**63, found 9223372036854775808"),
        ("train.n_steps=0", "train.n_steps: " + INTEGER + "1, found 0"),
        ("train.batch_size=0", "train.batch_size: expected full or an integer >= 1, found 0"),
        ("train.stop_at_train_loss=0", "expected a number > 0 or null, found 0"),
        ("record.every=0", "record.every: expected an integer >= 1 or a list (each an integer >= 0) or {log: "),
        ("record.every=[1, -1]", "record.every: expected an integer >= 1 or a list"),
        ("record.every={log: 0}", "record.every: expected an integer >= 1 or a list"),
        # words
        ("optimizer={lr: 1}", "optimizer.name: missing: expected one of sgd, sam, "),
        ("optimizer.name=smm", 'found "smm"'),
        ("optimizer.name=[sam]", "optimizer.name: expected one of sgd, sam, "),
        (
            "optimizer.base=sam",
            'optimizer.base: expected one of sgd, muon, adam, adamw, signsgd, torch_optim, found "sam"',
        ),
        (
            "data.model=cats",
            "one of signal_noise, xor, spurious, margins, multi_view, oscillation, ... (13: `featlearn list data`), "
            'found "cats"',
        ),
        ("optimizer=sgd", "optimizer.lr: missing: expected a number > 0"),
        ("optimizer={name: sam, lr: 1}", "optimizer.rho: missing: expected a number >= 0 or {theory: a number >= 0}"),
        ("optimizer=null", "optimizer.name: missing: expected one of sgd, sam, "),
        ("train={}", "train.n_steps: missing: expected an integer >= 1"),
        # trackers
        ("record.trackers=loss", "record.trackers: expected a list of some of loss, decomposition, test_error"),
        ("record.trackers=[los]", "record.trackers[0]: expected one of loss, decomposition, test_error"),
        ("record.trackers=[loss, 3]", "record.trackers[1]: expected a mapping of keys, found 3"),
        ("record.trackers=[{name: loss, x: 3}]", "record.trackers[0].x: unknown key;"),
        ("record.trackers=[{n_points: 8}]", "record.trackers[0].name: missing: expected one of loss"),
        ("record.trackers=[{name: test_error, n_point: 8}]", "n_point: unknown key; did you mean 'n_points'?"),
        ("record.trackers=[{name: test_error, n_points: 0}]", "expected an integer >= 2 and <= 1048576, found 0"),
        ("record.trackers=[loss, {name: loss}]", "record.trackers[1]: given twice"),
        # refused by the class itself
        ("record.trackers=[{name: test_error, n_points: 63}]", "n_points: n_points must be a power of two"),
        ("optimizer.nesterov=true", "optimizer.nesterov: nesterov needs a momentum > 0"),
        ("optimizer={name: sam, lr: 1, rho: 1, start: 5, stop: 5}", "start: start = 5 leaves no step before stop = 5"),
    ],
)
def test_one_error_is_one_line(problems: Problems, setting: str, message: str) -> None:
    (line,) = problems(set=[setting])
    assert line.startswith("--set: ")
    assert message in line


def test_all_problems_come_at_once_in_the_order_of_the_file(problems: Problems) -> None:
    text = """
seed: -1
data: {n_samples: 1, dim: 40, signal_norm: 1, snr: 2}
network:
  n_filters: 0
  bais: true
optimizer: {name: sgd, lr: fast, nesterov: true}
train: {n_steps: 5, batch_size: 30}
record: {every: [7], trackers: [loss, lost]}
sweep: {data.dmi: [1], network.bias: []}
"""
    lines = problems(base=text)
    assert [line.split(": ")[:2] for line in lines] == [
        ["x.yaml:2", "seed"],
        ["x.yaml:3", "data.n_samples"],
        ["x.yaml:3", "data.snr"],
        ["x.yaml:5", "network.n_filters"],
        ["x.yaml:6", "network.bais"],
        ["x.yaml:7", "optimizer.lr"],
        ["x.yaml:9", "record.trackers[1]"],
        ["x.yaml:9", "record.every"],
        ["x.yaml:10", "sweep.data.dmi"],
        ["x.yaml:10", "sweep.network.bias"],
    ]


def test_parameters_of_a_wrapped_rule_are_keys_next_to_those_of_its_wrapper(load: Load) -> None:
    rule = load(set=["optimizer={name: sam, lr: 0.01, rho: 0.03, momentum: 0.9, base: sgd}"]).base_run().optimizer
    assert rule == SAM(rho=0.03, base=SGD(lr=0.01, momentum=0.9))


def test_trackers_are_words_or_mappings(load: Load) -> None:
    texts = "[loss, {name: test_error, n_points: 128}, {name: decomposition, per_filter: true}]"
    record = load(set=[f"record.trackers={texts}"]).base_run().record
    assert record.trackers == (Loss(), TestError(n_points=128), Decomposition(per_filter=True))


OF_VARIANTS = {
    **dict.fromkeys(("alpha", "batch_weight", "ema_weight", "flip_rate", "gamma", "momentum", "theta"), 0.5),
    "component": "noise",
    "n_shards": 2,
    "cls": "torch.optim.RMSprop",
}


def test_every_word_of_every_package_is_read() -> None:
    for section in (*SECTIONS.values(), TRACKER):
        for (word, base), kind in section.kinds.items():
            required = {"lr": 0.1, "rho": 0.1, "n_steps": 5, "name": "x", **OF_VARIANTS}
            given = {k: required[k] for k in kind.parameters if k in required}
            naming = dict(zip(kind.naming, (word, base), strict=False))
            parsed = read_section(section, tree(given | naming))
            if word == "momentum_sam" and not hasattr(kind.base, "momentum"):  # there is no buffer to perturb along
                assert [problem.key for problem in parsed.problems] == ["base"]
                continue
            assert parsed.problems == ()
            assert type(parsed.object) is kind.cls


@dataclass(frozen=True, kw_only=True)
class Heavy:
    """A new rule.

    pull: strength.
    scale: given by theory, or not at all.
    """

    pull: Positive = 2.0
    scale: Annotated[float, Bound(ge=0), TheoryScale("sam_radius")] | None = None


def test_a_new_rule_is_covered_by_its_line_in_the_table() -> None:
    section = Section({"sgd": SGD, "heavy": Heavy, "sam": SAM}, "name")
    assert [*section.kinds] == [("sgd", None), ("heavy", None), ("sam", "sgd"), ("sam", "heavy")]
    assert read_section(section, tree({"name": "heavy", "pull": 3})).object == Heavy(pull=3.0)
    around = read_section(section, tree({"name": "sam", "base": "heavy", "rho": 1, "pull": 3, "scale": {"theory": 2}}))
    assert around.scale_factors == {"scale": 2.0}
    assert around.object == SAM(rho=1.0, base=Heavy(pull=3.0, scale=2.0))
    (problem,) = read_section(section, tree({"name": "heavy", "pull": 0})).problems
    assert str(problem) == "x.yaml:1: pull: expected a number > 0, found 0"


SCALARS: Any = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES: Any = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(["name", "theory", "log", "x"]), v)
)


@given(st.sampled_from(sorted(SECTIONS)), st.data())
def test_any_section_is_read_or_has_problems(name: str, data: Any) -> None:
    section = SECTIONS[name]
    keys = st.sampled_from([*section.keys, "unknown"])
    words = VALUES | st.sampled_from(["sgd", "sam", "signal_noise", *TRACKERS])
    node = tree(data.draw(VALUES | st.dictionaries(keys, words)))
    parsed = read_section(section, replace(node, key=name))
    assert parsed.problems or parsed.object is not None
    assert all(problem.message for problem in parsed.problems)


def test_known_keys_are_dotted_and_reach_into_theory() -> None:
    known = known_keys()
    assert {"seed", "data", "data.dim", "data.model", "optimizer.rho.theory", "record.every.log"} <= set(known)
    assert known["optimizer"] is None
