"""Hostile input: any text is a config, or has problems, in bounded time and memory; there is no third way.

Soak: FEATLEARN_FUZZ sets the number of random inputs.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from featlearn.cli import app
from featlearn.config import ConfigError, SweepConfig, load_config
from featlearn.config.sections import known_keys
from featlearn.config.source import DEEPEST, LARGEST
from featlearn.data import DATA
from featlearn.sweeps import sweep

Problems = Callable[..., list[str]]
Write = Callable[..., Path]
FUZZED = int(os.environ.get("FEATLEARN_FUZZ", "150"))
BASE = """
data: {n_samples: 4, dim: 100, signal_norm: 5.0}
network: {n_filters: 2, init_std: 0.001}
optimizer: {name: sam, lr: 0.01, rho: 0.03}
train: {n_steps: 3}
record: {every: 1, trackers: [loss]}
sweep: {seed: [0, 1], optimizer.rho: {linspace: [0.1, 0.2, 2]}}
"""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("x: " + "[" * 400 + "]" * 400, "not YAML: nested too deeply"),
        ("x: " + "{a: " * 40 + "1" + "}" * 40, "not YAML: nested too deeply"),
        ("a: &a [1]\nb: *a", "anchors, aliases and tags"),
        ('name: "a\\e[31m"', 'name has characters that cannot be printed: "a\\u001b[31m"'),
        ('name: "a\\nb"', "name has characters that cannot be printed"),
        ("sweep: {seed: {range: [0, 1000001]}}", "more than 1000000 values"),
        ("sweep: {seed: {range: [0, 1000]}, optimizer.lr: {linspace: [1, 2, 10000]}}", "10000000 runs are too many"),
        (
            "sweep: {optimizer: [{name: sam, lr: {linspace: [1, 2, 10000]}, rho: {linspace: [1, 2, 10000]}}]}",
            "100000000 combinations are too many",
        ),
        ("seed: " + "9" * 99, "expected an integer below 2**63"),
        ('"\\e]0;title\\a": 1', "\\x1b]0;title\\x07: unknown key"),
    ],
)
def test_text_that_would_explode_is_refused(problems: Problems, more: str, message: str) -> None:
    base = BASE if "sweep" not in more else BASE[: BASE.index("sweep")]
    assert any(message in problem for problem in problems(f"{base}{more}\n" if base == BASE else f"{base}{more}"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (".".join(["a"] * 3000) + "=1", f"a key has at most {DEEPEST} parts"),
        ("data.n_samples=1000000000000", "expected an integer >= 2 and <= 1000000"),
        ("network.n_filters=1000000000000", "expected an integer >= 1 and <= 1000000"),
        ("data.n_patches=1000000", None),  # shared noise: a number, and no array
        ("data.model={formula: dim}", "data.model: expected one of signal_noise"),
        ("optimizer.name={formula: x.y}", "optimizer.name: expected one of sgd"),
        ("network={model: mlp, n_hidden: 100000000000000000}", "expected an integer >= 1 and <= 1000"),
    ],
)
def test_settings_that_would_explode_are_refused(
    load: Callable[..., SweepConfig], problems: Problems, change: str, message: str | None
) -> None:
    if message is None:
        assert load(set=[change]).n_runs == 1
    else:
        (found, *_) = problems(set=[change])
        assert message in found and len(found) < 400


def test_vectors_of_all_samples_are_bounded(problems: Problems) -> None:
    (found,) = problems(set=["data.n_patches=200000", "data.noise=independent", "data.n_samples=20"])
    assert "make 3999980 noise vectors, above 1000000" in found


def test_a_list_inside_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_config({"x": endless})


def test_no_address_in_memory_is_shown() -> None:
    with pytest.raises(ConfigError, match=r"found \"<object object>\"$"):
        load_config({"optimizer": {"name": "sgd", "lr": object()}, "train": {"n_steps": 1}, "data": {"signal_norm": 1}})


def test_the_words_of_an_error_of_own_code_are_bounded(write: Write, problems: Problems) -> None:
    write("raise ValueError('x' * 10**6)\n", "long.py")
    (found,) = problems(base=BASE.replace("name: sam", 'name: "long.py:Rule"'))
    assert found.endswith("xxx...") and len(found) < 600


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise GeneratorExit('g')\n", "end.py:1: GeneratorExit: g"),
        ("class End(BaseException):\n    pass\nraise End('e')\n", "end.py:3: End: e"),
        (
            "class Odd(Exception):\n    def __str__(self):\n        return 1 / 0\nraise Odd\n",
            "end.py:4: Odd: it has no text",
        ),
        ("class A:\n    value = object()\n    slope = '1'\n", "value is no text: <object object>"),
    ],
)
def test_own_code_that_ends_or_has_no_words_is_one_problem(
    write: Write, problems: Problems, text: str, message: str
) -> None:
    write(text, "end.py")
    (found,) = problems(set=["network.activation=end.py:A"])
    assert found.startswith("--set: network.activation: ") and found.endswith(message)


def test_of_many_problems_the_first_are_listed_and_the_others_counted(write: Write) -> None:
    write(BASE + "".join(f"k{i}: 1\n" for i in range(2000)))
    with pytest.raises(ConfigError) as caught:
        load_config("x.yaml")
    *_, last = str(caught.value).splitlines()
    assert last == "and 1900 more problems" and len(caught.value.problems) == 2000


def test_a_key_swept_many_times_is_refused_once_each(write: Write) -> None:
    zipped = "".join(f"    - {{optimizer.lr: [{i + 1}]}}\n" for i in range(300))
    write(BASE[: BASE.index("sweep")] + "sweep:\n  zip:\n" + zipped)
    with pytest.raises(ConfigError) as caught:
        load_config("x.yaml")
    assert len(caught.value.problems) == 299


def test_a_file_that_is_no_config_is_not_quoted(write: Write) -> None:
    write("root:x:0:0:secret", "passwd")
    with pytest.raises(ConfigError, match=r"^passwd:1: expected a mapping of keys, found text$"):
        load_config(write("extends: passwd"))


def test_a_large_file_is_refused_unread(write: Write) -> None:
    with pytest.raises(ConfigError, match="larger than 4194304 bytes"):
        load_config(write("#" * (LARGEST + 1)))


@pytest.mark.parametrize("attribute", ["__mro__", "__dict__", "drift"])
def test_a_class_whose_metaclass_raises_is_refused(write: Write, problems: Problems, attribute: str) -> None:
    write(
        "class Meta(type):\n"
        "    def __getattribute__(cls, name):\n"
        f"        if name == {attribute!r}:\n"
        "            raise RuntimeError('no ' + name)\n"
        "        return super().__getattribute__(name)\n"
        "class Rule(metaclass=Meta):\n    pass\n",
        "meta.py",
    )
    (found,) = problems(base=BASE.replace("name: sam", 'name: "meta.py:Rule"'))
    assert "meta.py:Rule cannot be used here: RuntimeError: no" in found


@pytest.fixture
def swept(write: Write) -> Path:
    """A store of two runs in the working folder."""
    sweep(write(BASE), "s", progress=False, set=["sweep={seed: [0, 1]}"])
    return Path("s")


# random input

KEYS = sorted(known_keys())
WORDS = st.sampled_from(["null", "true", "[]", "{}", "sgd", "sam", "full", "auto", "{theory: 1}", "{log: 3}", "1e400"])
SPACED = st.builds(
    "{{{}: [{}, {}, {}]}}".format,
    st.sampled_from(["linspace", "geomspace", "range", "zip"]),
    *[st.integers(-3, 10**7)] * 2,
    st.integers(-3, 12),
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = st.sampled_from(
    ["dim", "data.snr", "signal_norm", "lr", "rho", "n_steps", "batch_size", "10**10**10", "1/0", "x.y"]
)
EXPRESSION = st.recursive(
    NAMES | st.integers(-3, 10**7).map(str) | TEXT,
    lambda parts: (
        st.builds("({} {} {})".format, parts, st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "<<", "@"]), parts)
        | st.builds("{}({})".format, st.sampled_from(["sqrt", "exp", "max", "round", "__import__"]), parts)
    ),
    max_leaves=6,
)
FORMULA = EXPRESSION.map(lambda text: json.dumps({"formula": text}))
SCALAR = st.one_of(st.integers().map(str), st.floats().map(repr), WORDS, SPACED, TEXT, FORMULA)
LISTS = st.lists(SCALAR, max_size=3).map(lambda items: f"[{', '.join(items)}]")
KEY = st.sampled_from([*KEYS, "sweep", "extends", "sweep.seed", "sweep.zip"]) | TEXT
NUMBERS = [key for key in KEYS if key.startswith("data.")]  # of every data model
SETTING = st.tuples(KEY, SCALAR | LISTS) | st.tuples(st.sampled_from(NUMBERS), FORMULA | st.floats(0, 3).map(repr))
MODEL = st.tuples(st.just("data.model"), st.sampled_from(sorted(DATA)))
NOISE = st.tuples(st.just("data.noise"), st.sampled_from(["shared", "independent", "none"]))
CHANGES = st.lists(SETTING | MODEL | NOISE, min_size=1, max_size=3)


def validated(*args: str) -> None:
    """Validate: a config that loads again as the mapping that it is, or exit code 2 with a message and no traceback."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = CliRunner().invoke(app, ["validate", *args])
        assert found.exit_code in (0, 2), (args, found.output, found.exception)
        if found.exit_code:
            assert found.exception is None or isinstance(found.exception, SystemExit), (args, found.exception)
            assert "error: " in found.output and "Traceback" not in found.output
        elif len(args) == 1:
            config = load_config(args[0])
            again = load_config({**config.base, "sweep": config.sweep})
            assert [run.run_id for run in again.runs()] == [run.run_id for run in config.runs()]


@settings(max_examples=FUZZED, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_any_setting_is_valid_or_refused(write: Write, changes: list[tuple[str, str]]) -> None:
    path = str(write(BASE))
    validated(path, *(part for key, value in changes for part in ("--set", f"{key}={value}")))


@settings(max_examples=FUZZED, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_text_is_a_config_or_refused(write: Write, data: Any) -> None:
    """The base with some lines cut, doubled, or with characters and whole values put in."""
    lines = BASE.strip().splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        line, place = lines[at], data.draw(st.integers(0, len(lines[at])))
        insert = data.draw(TEXT | SCALAR | LISTS)
        new = [line[:place], f"{line[:place]}{insert}{line[place:]}", line, f"{line.partition(':')[0]}: {insert}"]
        lines[at : at + 1] = [data.draw(st.sampled_from(new))] * data.draw(st.sampled_from([1, 1, 2]))
    validated(str(write("\n".join(lines))))


@settings(max_examples=FUZZED // 5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES, st.text(max_size=8) | st.sampled_from(["1/1", "1/0", "2/1"]))
def test_any_sweep_is_planned_or_refused_and_then_leaves_nothing(
    write: Write, monkeypatch: pytest.MonkeyPatch, changes: list[tuple[str, str]], shard: str
) -> None:
    """All but the runs: those that a plan has are computed by nobody here."""
    monkeypatch.setattr(sys.modules[sweep.__module__], "results", lambda *_, **options: (table for table in ()))
    monkeypatch.setattr("featlearn.config.axes.MAX_RUNS", 2000)
    path, out = str(write(BASE)), Path("out")
    words = [part for key, value in changes for part in ("--set", f"{key}={value}")]
    shutil.rmtree(out, ignore_errors=True)
    with warnings.catch_warnings(action="ignore"):
        found = CliRunner().invoke(app, ["sweep", path, "--out", str(out), "--quiet", f"--shard={shard}", *words])
    assert found.exit_code in (0, 1, 2), (words, shard, found.output, found.exception)
    assert found.exception is None or isinstance(found.exception, SystemExit), (words, shard, found.exception)
    assert found.exit_code != 2 or not out.exists(), (words, shard)


@settings(max_examples=FUZZED // 10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=12) | st.sampled_from(["..", "/", "x.png/..", "x.yaml", "s", "s/parts/1.png", "x.PNG", "\0.png"])
)
def test_any_name_of_a_figure_is_written_or_refused(swept: Path, name: str) -> None:
    """And no file changes that is not the figure of the call or its table."""
    here = Path(name)
    if here.is_absolute():
        name = name.lstrip("/") or "x"
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.suffix != ".png"}
    with warnings.catch_warnings(action="ignore"):
        found = CliRunner().invoke(app, ["plot", "dynamics", str(swept), "-o", name])
    assert found.exit_code in (0, 2), (name, found.output, found.exception)
    assert found.exception is None or isinstance(found.exception, SystemExit), (name, found.exception)
    after = {path: path.read_bytes() for path in before if path.is_file()}
    assert after == {path: data for path, data in before.items() if path in after}
    assert {path for path in before if path.suffix != ".csv"} <= set(after), name
