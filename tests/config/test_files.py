"""extends and --set: which value counts, and its reported place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featlearn.config import ConfigError, ConfigWarning, SweepConfig, load_config

Load = Callable[..., SweepConfig]
Problems = Callable[..., list[str]]
Write = Callable[..., Path]

PARENT = """
name: parent
data: {n_samples: 10, dim: 500, signal_norm: 2}
network: {init_std: {theory: 1}}
optimizer: {name: sam, lr: 0.1, rho: 0.2}
train: {n_steps: 50}
record: {every: {log: 5}, trackers: [loss, test_error]}
sweep:
  data.dim: {linspace: [500, 900, 5]}
  seed: [0, 1]
"""


class TestExtends:
    def test_sections_merge_key_by_key_and_deeper_values_are_replaced(self, write: Write) -> None:
        write(PARENT, "parent.yaml")
        record, network = "{every: 5, trackers: [loss]}", "{init_std: {theory: 2}}"
        child = f"extends: parent.yaml\ndata: {{dim: 600}}\nrecord: {record}\nnetwork: {network}"
        base = load_config(write(child)).base
        assert base["data"] == {"n_samples": 10, "dim": 600, "signal_norm": 2}
        assert base["record"] == {"every": 5, "trackers": ["loss"]}
        assert base["network"] == {"init_std": {"theory": 2}}

    def test_an_optimizer_of_another_name_replaces_the_section(self, write: Write) -> None:
        write(PARENT, "parent.yaml")
        base = load_config(write("extends: parent.yaml\noptimizer: {name: sgd, lr: 1}")).base
        assert base["optimizer"] == {"name": "sgd", "lr": 1}

    @pytest.mark.parametrize("more", ["{lr: 1}", "{name: sam, lr: 1}"])
    def test_an_optimizer_of_the_same_name_merges(self, write: Write, more: str) -> None:
        write(PARENT, "parent.yaml")
        base = load_config(write(f"extends: parent.yaml\noptimizer: {more}")).base
        assert base["optimizer"] == {"name": "sam", "lr": 1, "rho": 0.2}

    def test_the_default_data_model_merges_with_one_that_names_it(self, write: Write) -> None:
        write(PARENT, "parent.yaml")
        base = load_config(write("extends: parent.yaml\ndata: {model: signal_noise, dim: 600}")).base
        assert base["data"]["signal_norm"] == 2

    def test_axes_are_added_replaced_and_taken_away(self, write: Write) -> None:
        write(PARENT, "parent.yaml")
        sweep = "{data.dim: {geomspace: [500, 5000, 3]}, seed: null, optimizer.rho: [0.1, 0.2]}"
        config = load_config(write(f"extends: parent.yaml\nsweep: {sweep}"))
        assert [(axis.keys, len(axis)) for axis in config.axes] == [(("data.dim",), 3), (("optimizer.rho",), 2)]
        assert load_config(write("extends: parent.yaml\nsweep: null")).n_runs == 1

    @pytest.mark.parametrize(
        "child",
        [
            "data:\n  # dim: 600\nnetwork:\noptimizer:\ntrain:\nrecord:\nsweep:",
            "data: {n_samples: , dim: }\nnetwork: {init_std: }\nrecord: {every: , trackers: }",
            "optimizer:\n  rho:  # 0.3\ntrain: {n_steps: }\nsweep:\n  data.dim:\n  seed: # [1, 2]\n",
            "network: {}\nsweep: {}",
        ],
    )
    def test_a_blank_key_inherits(self, write: Write, child: str) -> None:
        parent = load_config(write(PARENT, "parent.yaml"))
        found = load_config(write(f"extends: parent.yaml\n{child}\n"))
        assert [run.run_id for run in found.runs()] == [run.run_id for run in parent.runs()]
        middle = write("extends: x.yaml\nnetwork:\ntrain: {n_steps: 60}\nsweep:\n", "y.yaml")
        assert load_config(middle).base == {**parent.base, "train": {"n_steps": 60}, "name": "y"}

    def test_null_removes_an_inherited_key(self, write: Write) -> None:
        write(PARENT, "parent.yaml")
        child = "extends: parent.yaml\nnetwork: null\nrecord: {every: 7, trackers: ~}\nsweep: {seed: null}"
        with pytest.raises(ConfigError, match=r"x.yaml:3: record.trackers: expected a list"):
            load_config(write(child))
        config = load_config(write(child.replace(", trackers: ~", "")))
        assert config.base_run().network.init_std is None
        assert [axis.keys for axis in config.axes] == [("data.dim",)]

    def test_a_zip_that_replaces_another_warns_of_lost_keys(self, write: Write) -> None:
        axes = "data.dim: [500, 600], optimizer.lr: [0.1, 0.2], optimizer.rho: [0.1, 0.2]"
        write(PARENT + f"  zip: {{{axes}}}\n".replace("data.dim", "data.n_samples"), "parent.yaml")
        child = (
            "extends: parent.yaml\nsweep: {optimizer.rho: [1, 2], zip: {optimizer.lr: [1, 2], train.n_steps: [5, 6]}}"
        )
        lost = r"^x.yaml:2: sweep.zip: replaces the zip at parent.yaml:11: data.n_samples are no longer swept"
        with pytest.warns(ConfigWarning, match=lost):
            load_config(write(child))
        for quiet in ("zip: null", "zip: ", f"zip: [{{data.n_samples: [5, 6]}}, {{{axes[22:]}}}]", "seed: [5]"):
            load_config(write(f"extends: parent.yaml\nsweep: {{{quiet}}}"))  # a warning is an error here

    def test_the_name_is_that_of_the_file_unless_given(self, write: Write) -> None:
        write(PARENT, "parent.yaml")
        assert load_config("parent.yaml").name == "parent"
        assert load_config(write("extends: parent.yaml", "child.yaml")).name == "child"
        assert load_config(write("extends: parent.yaml\nname: own")).name == "own"

    def test_a_chain_is_followed_from_folder_to_folder(self, write: Write, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        write(PARENT, "sub/a.yaml")
        write("extends: a.yaml\ntrain: {n_steps: 60}", "sub/b.yaml")
        run = load_config(write("extends: sub/b.yaml\nseed: 7")).base_run()
        assert (run.train.n_steps, run.data.n_samples, run.seed) == (60, 10, 7)

    def test_a_problem_names_the_file_that_has_it(self, write: Write) -> None:
        write(PARENT.replace("n_samples: 10", "n_samples: 1"), "parent.yaml")
        with pytest.raises(
            ConfigError, match=r"^parent.yaml:3: data.n_samples: expected an integer >= 2 and <= 1000000, found 1$"
        ):
            load_config(write("extends: parent.yaml"))

    def test_a_circle_is_refused(self, write: Write) -> None:
        write("extends: b.yaml", "a.yaml")
        write("seed: 1\nextends: ./a.yaml", "b.yaml")
        with pytest.raises(ConfigError) as caught:
            load_config("a.yaml")
        assert str(caught.value) == "b.yaml:2: extends: circular: a.yaml -> b.yaml -> a.yaml"

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ("none.yaml", "x.yaml:1: extends: no such file: none.yaml"),
            ('"\\0"', "x.yaml:1: extends: no such file: \\x00"),
            ("3", "x.yaml:1: extends: expected the name of a file, found 3"),
            ("[a, b]", 'x.yaml:1: extends: expected the name of a file, found ["a", "b"]'),
        ],
    )
    def test_only_a_file_can_be_extended(self, write: Write, target: str, message: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load_config(write(f"extends: {target}"))
        assert str(caught.value) == message


class TestUnreadable:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "x.yaml: the file is empty"),
            ("# only a comment\n", "x.yaml: the file is empty"),
            ("[1, 2]", "x.yaml:1: expected a mapping of keys, found [1, 2]"),
            ("sam", "x.yaml:1: expected a mapping of keys, found text"),
            (b"\xff\xfe\xfa", "x.yaml: not YAML: not UTF-8 text"),
        ],
    )
    def test_invalid_configs(self, write: Write, text: str | bytes, message: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load_config(write(text))
        assert str(caught.value) == message

    def test_no_file_and_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none.yaml: No such file or directory$"):
            load_config(tmp_path / "none.yaml")
        with pytest.raises(ConfigError, match=r"Is a directory$"):
            load_config(tmp_path)


class TestSet:
    def test_text_is_yaml_and_a_mapping_is_python(self, load: Load) -> None:
        texts = load(set=["data.dim=2000", "optimizer.rho={theory: 1e-3}", "record.trackers=[loss]"])
        python = load(set={"data.dim": 2000, "optimizer.rho": {"theory": 1e-3}, "record.trackers": ["loss"]})
        assert texts.base == python.base
        assert texts.base_run().data.dim == 2000

    def test_one_text_needs_no_list(self, load: Load) -> None:
        assert load(set="seed=3").base_run().seed == 3

    def test_numbers_of_numpy_are_numbers(self, load: Load) -> None:
        run = load(set={"data.dim": np.int64(30), "data.signal_norm": np.float32(2)}).base_run()
        assert (run.data.dim, run.data.signal_norm) == (30, 2.0)
        assert type(run.data.dim) is int

    def test_text_given_in_python_is_no_number(self, problems: Problems) -> None:
        assert problems(set={"data.dim": "2000"}) == [
            '--set: data.dim: expected an integer >= 2 and <= 1000000000000000, found "2000"'
        ]

    def test_missing_sections_are_made(self, load: Load) -> None:
        assert load(set=["record.every=7"]).base_run().record.steps[:3] == (0, 7, 14)

    def test_theory_may_be_set_inside_a_number(self, load: Load) -> None:
        assert load(set=["optimizer.rho.theory=2"]).base["optimizer"]["rho"] == {"theory": 2}

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("data.dmi=3", "--set: data.dmi: unknown key; did you mean 'dim'?"),
            ("dim=3", "--set: dim: unknown key; did you mean 'data.dim'?"),
            ("data.dim", "--set: data.dim: expected key=value"),
            ("=3", "--set: =3: expected key=value"),
            ("data..dim=3", "--set: data..dim=3: expected key=value"),
            ("data.dim=", "--set: data.dim: expected an integer >= 2 and <= 1000000000000000, found null"),
            ("data.dim=[", "--set: data.dim: not YAML: while parsing a flow node, expected the node content"),
            ("data.dim.x=3", "--set: data.dim: expected an integer >= 2 and <= 1000000000000000, found {"),
            ("seed=010", "--set: seed: 010 has a leading zero: drop it, or quote it as text"),
            ("data=3", "--set: data: expected a mapping of keys, found 3"),
            ("extends=y.yaml", "--set: extends: is allowed in a file only"),
            ("sweep.data.dmi=[3]", "--set: sweep.data.dmi: no such key; did you mean 'data.dim'?"),
        ],
    )
    def test_a_bad_setting_is_named_as_such(self, problems: Problems, setting: str, message: str) -> None:
        (line,) = problems(set=[setting])
        assert line.startswith(message)

    def test_all_bad_settings_are_reported_at_once(self, problems: Problems) -> None:
        assert len(problems(set=["data.dim=[", "seed=-1", "x"])) == 3


class TestSetAndSweep:
    SWEEP = """
sweep:
  optimizer: [{name: sgd, lr: 0.01}, {name: sam, lr: 0.02, rho: 0.03}]
  zip: {data.dim: [50, 60, 70], data.n_samples: [5, 6, 7]}
  seed: {range: [0, 4]}
"""

    def keys(self, config: SweepConfig) -> list[tuple[str, ...]]:
        return [axis.keys for axis in config.axes]

    def test_a_key_that_is_set_is_not_swept(self, load: Load) -> None:
        config = load(self.SWEEP, set=["seed=9", "data.dim=80"])
        assert self.keys(config) == [("optimizer",), ("data.n_samples",)]
        assert {(run.seed, run.data.dim) for run in config.runs()} == {(9, 80)}

    def test_a_section_that_is_set_is_not_swept_nor_are_its_keys(self, load: Load) -> None:
        config = load(self.SWEEP, set={"data": {"signal_norm": 1}, "optimizer": {"name": "sgd", "lr": 1}})
        assert self.keys(config) == [("seed",)]

    def test_a_key_is_set_in_each_swept_section_that_has_it_given_there_or_not(self, load: Load) -> None:
        config = load(self.SWEEP, set=["optimizer.lr=0.5", "optimizer.rho=0.7", "optimizer.start=3"])
        rules = {run.optimizer for run in config.runs()}
        assert {(getattr(rule, "rho", None), getattr(rule, "start", None)) for rule in rules} == {
            (None, None),
            (0.7, 3),
        }
        assert {getattr(rule, "lr", None) or rule.base.lr for rule in rules} == {0.5}

    def test_the_keys_that_name_a_kind_are_set_too(self, load: Load, problems: Problems) -> None:
        config = load(self.SWEEP, set=["optimizer.base=muon"])
        rules = {run.optimizer for run in config.runs()}
        assert {type(getattr(rule, "base", rule)).__name__ for rule in rules} == {"SGD", "Muon"}
        assert any(
            "optimizer[1].rho: not a key of SGD" in line for line in problems(self.SWEEP, set="optimizer.name=sgd")
        )

    def test_an_axis_may_be_set_or_taken_away(self, load: Load) -> None:
        settings = ["sweep.seed=[5]", "sweep.zip=null", "sweep.optimizer.rho=[1, 2]", "sweep.optimizer=null"]
        config = load(self.SWEEP, set=settings)
        assert self.keys(config) == [("seed",), ("optimizer.rho",)]
        assert load(self.SWEEP, set={"sweep": None}).n_runs == 1
        assert load(self.SWEEP, set={"sweep": {"seed": [1, 2, 3]}}).n_runs == 3

    def test_the_example_of_the_contract(self, load: Load) -> None:
        config: Any = load("sweep: {data.dim: {geomspace: [1000, 20000, 20]}}", set={"data.dim": 2000})
        assert config.base_run().data.dim == 2000
        assert config.n_runs == 1
