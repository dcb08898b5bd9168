"""Conflicts between sections are refused or cause a warning, with their key."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from featlearn.config import ConfigWarning, SweepConfig
from featlearn.runs import RunConfig

DATA = "data: {n_samples: 20, dim: 1000, signal_norm: 5.0}\nnetwork: {n_filters: 10, init_std: 0.001}\n"
Load = Callable[..., SweepConfig]
Problems = Callable[..., list[str]]


def run_of(load: Load, *settings: str) -> RunConfig:
    return load(set=settings).base_run()


class TestSignal:
    BOTH = "give exactly one of signal_norm and snr; where one is inherited or swept, set the other to null"

    def test_both_or_none_are_refused(self, problems: Problems) -> None:
        assert problems(set=["data.snr=0.1"]) == [f"--set: data.snr: {self.BOTH}"]
        assert problems(set=["data={dim: 50}"]) == [f"--set: data.signal_norm: {self.BOTH}"]
        assert problems("sweep: {data.snr: [0.1, 0.2]}") == [f"x.yaml:6: sweep.data.snr[0]: {self.BOTH}"]

    def test_null_takes_one_away(self, load: Load) -> None:
        run = run_of(load, "data.signal_norm=null", "data.snr=0.5", "data.dim=400", "data.noise_std=2")
        assert run.data.strength == 0.5 * 2 * 20

    @pytest.mark.parametrize("data", ["{snr: 1e300, noise_std: 1e20}", "{signal_norm: 1, noise_std: 1e-310}"])
    def test_a_ratio_that_is_not_finite_is_refused(self, problems: Problems, data: str) -> None:
        (line,) = problems(set=[f"data={data}"])
        assert line.startswith("--set: data.noise_std: the ratio of signal to noise is not a finite number")


class TestBatchAndPhase:
    def test_full_is_all_samples(self, load: Load) -> None:
        assert run_of(load, "data.n_samples=7").train.batch_size == 7

    def test_a_batch_larger_than_the_training_set(self, problems: Problems) -> None:
        assert problems(set=["train.batch_size=21"]) == ["--set: train.batch_size: 21 is more than data.n_samples = 20"]

    def test_in_a_sweep_it_counts_and_locates_them(self, problems: Problems) -> None:
        sweep = "sweep: {seed: {range: [0, 10]}, data.n_samples: [20, 9, 8], data.dim: [50, 60]}"
        assert problems(sweep, set=["train.batch_size=10"]) == [
            "--set: train.batch_size: 10 is more than data.n_samples = 9 "
            "(in 4 of 6 combinations, first at seed = 0, data.n_samples = 9, data.dim = 50)"
        ]

    @pytest.mark.parametrize("sampling", ["epochs", "without_replacement", "with_replacement"])
    def test_however_it_is_drawn(self, load: Load, problems: Problems, sampling: str) -> None:
        drawn = f"train.batch_sampling={sampling}"
        assert run_of(load, drawn, "train.batch_size=20").train.batch_sampling == sampling
        (line,) = problems(set=[drawn, "train.batch_size=21"])
        assert line == "--set: train.batch_size: 21 is more than data.n_samples = 20"

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("batch_sampling=replacement", "expected one of epochs, without_replacement, with_replacement"),
            ("gradient_noise=-0.1", "expected a number >= 0, found -0.1"),
            ("gradient_noise=.inf", "expected a"),
            ("gradient_noise=0.1", "only a landscape takes gradient noise; the noise of a network on patches is that"),
        ],
    )
    def test_a_drawing_or_a_noise_that_there_is_not(self, problems: Problems, setting: str, message: str) -> None:
        (line,) = problems(set=[f"train.{setting}"])
        key = setting.partition("=")[0]
        assert line.startswith(f"--set: train.{key}: {message}")

    def test_noise_on_a_landscape_and_none_elsewhere(self, load: Load, problems: Problems) -> None:
        sweep = "sweep: {train.gradient_noise: [0, 0.5]}"
        landscape = "network: quadratic\noptimizer: {name: sgd, lr: 0.1}\ntrain: {n_steps: 10}\n"
        assert [run.train.gradient_noise for run in load(sweep, base=landscape).runs()] == [0.0, 0.5]
        assert run_of(load, "train.gradient_noise=0").train.gradient_noise == 0.0
        (line,) = problems(sweep)
        assert "sweep.train.gradient_noise[1]: only a landscape takes gradient noise" in line

    def test_a_window_outside_the_run(self, load: Load, problems: Problems) -> None:
        never = "expected an integer <= train.n_steps = 100, or null for never"
        assert problems(set=["optimizer.start=100"]) == [
            "--set: optimizer.start: expected an integer < train.n_steps = 100, found 100"
        ]
        assert problems(set=["optimizer.stop=101"]) == [f"--set: optimizer.stop: {never}, found 101"]
        assert len(problems(set=["optimizer.start=120", "optimizer.stop=150"])) == 2
        (line,) = problems(
            base="train: {n_steps: 100}\noptimizer:\n  {name: sam, lr: 1, rho: 1,\n   stop: 500}\n" + DATA
        )
        assert line == f"x.yaml:4: optimizer.stop: {never}, found 500"
        window = run_of(load, "optimizer.start=99", "optimizer.stop=100").optimizer
        assert (window.start, window.stop) == (99, 100)

    def test_a_window_outside_some_runs_of_a_sweep(self, load: Load, problems: Problems) -> None:
        settings = ["optimizer.stop=80"]
        assert problems("sweep: {train.n_steps: [200, 80, 50, 10], seed: [1, 2]}", set=settings) == [
            "--set: optimizer.stop: expected an integer <= train.n_steps = 50, or null for never, found 80 "
            "(in 2 of 4 combinations, first at train.n_steps = 50, seed = 1)"
        ]
        together = load("sweep: {zip: {train.n_steps: [50, 10], optimizer.stop: [50, null]}}")
        assert [run.optimizer.stop for run in together.runs()] == [50, None]


class TestCurvature:
    @pytest.mark.parametrize(
        ("tracker", "optimizer"),
        [
            ("sam_edge", "{name: sgd, lr: 0.1}"),
            ("sam_edge", "{name: sam, lr: 0.1, rho: 0.1, momentum: 0.5}"),
            ("stability_edge", "{name: sgd, lr: 0.1, weight_decay: 0.5}"),
        ],
    )
    def test_an_edge_of_a_rule_that_has_none_is_refused(self, problems: Problems, tracker: str, optimizer: str) -> None:
        (line,) = problems(f"record: {{trackers: [loss, {tracker}]}}", set=[f"optimizer={optimizer}"])
        assert line.startswith("x.yaml:6: record.trackers: ") and "has no edge for s" in line
        assert "without momentum and weight decay" in line and ("optimizer.rho = 0" in line) == (tracker == "sam_edge")

    @pytest.mark.parametrize("optimizer", ["sam", "usam"])
    def test_an_edge_that_there_is(self, load: Load, optimizer: str) -> None:
        rule = f"{{name: {optimizer}, lr: 0.1, rho: 0.1}}"
        run = run_of(load, f"optimizer={rule}", "record.trackers=[{name: sam_edge, batch: batch}, stability_edge]")
        assert [type(tracker).__name__ for tracker in run.record.trackers] == ["SamEdge", "StabilityEdge"]

    def test_a_sweep_over_a_rule_without_edge_is_refused(self, problems: Problems) -> None:
        sweep = "sweep: {optimizer: [{name: sam, lr: 0.1, rho: 0.1}, {name: sgd, lr: 0.1}]}"
        (line,) = problems(f"record: {{trackers: [sam_edge]}}\n{sweep}")
        assert "sam_edge has no edge for sgd" in line

    def test_more_eigenvalues_than_parameters_are_refused(self, load: Load, problems: Problems) -> None:
        asked = "record: {trackers: [{name: sharpness, top: 81}]}"
        assert load(asked, set=["data.dim=5"]).base_run().record.trackers[0].top == 81
        (line,) = problems(asked, set=["data.dim=4"])
        assert line == "x.yaml:6: record.trackers: sharpness needs 81 eigenvalues; the network has 80 parameters"

    @pytest.mark.parametrize("wrong", ["top: 0", "top: 1.5", "batch: half"])
    def test_contradictions_are_refused(self, problems: Problems, wrong: str) -> None:
        (line,) = problems(f"record: {{trackers: [{{name: sharpness, {wrong}}}]}}")
        assert "expected" in line


def test_coefficients_that_are_not_unique_are_refused(load: Load, problems: Problems) -> None:
    short = {"data.n_samples": 8, "engine": "weights"}
    (line,) = problems(set={**short, "data.dim": 8})
    assert "record.trackers: decomposition is not unique" in line and "9 data vectors" in line
    assert load(set={**short, "data.dim": 9}).base_run().engine == "weights"
    assert load(set={**short, "data.dim": 8, "engine": "gram"}).base_run().engine == "gram"


class TestCautions:
    def warned(self, load: Load, *args: Any, **kwargs: Any) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            load(*args, **kwargs)
        assert all(warning.category is ConfigWarning for warning in caught)
        return [str(warning.message) for warning in caught]

    def test_friendly_sam_on_the_full_batch_is_warned_of_once(self, load: Load) -> None:
        (warning,) = self.warned(load, set={"optimizer": {"name": "f_sam", "lr": 0.1, "rho": 0.1}})
        assert warning.startswith("--set: optimizer: f_sam on the full batch perturbs downhill: ")

    @pytest.mark.parametrize(
        ("name", "parameters", "message"),
        [
            ("n_sam", {}, "n_sam on the full batch is SAM"),
            ("dnsam", {}, "dnsam on the full batch is SAM"),
            (
                "component_sam",
                {"component": "other_batch"},
                "component_sam on the full batch is SAM: component = other_batch",
            ),
            ("component_sam", {"component": "noise"}, "is its base, without a perturbation: component = noise"),
            ("ema_sam", {"batch_weight": 1, "ema_weight": -1}, "ema_sam on the full batch perturbs downhill"),
        ],
    )
    def test_it_names_the_rule_that_remains(
        self, load: Load, name: str, parameters: dict[str, Any], message: str
    ) -> None:
        optimizer = {"name": name, "lr": 0.1, "rho": 0.1, **parameters}
        (warning,) = self.warned(load, set={"optimizer": optimizer})
        assert message in warning
        assert self.warned(load, set={"optimizer": optimizer, "train.batch_size": 7}) == []

    def test_a_bootstrap_sample_or_a_noisy_gradient_is_not_the_full_batch(self, load: Load) -> None:
        rule = {"optimizer": {"name": "n_sam", "lr": 0.1, "rho": 0.1}}
        assert self.warned(load, set={**rule, "train.batch_sampling": "with_replacement"}) == []
        assert len(self.warned(load, set={**rule, "train.batch_sampling": "without_replacement"})) == 1
        landscape = "network: quadratic\ntrain: {n_steps: 10}\noptimizer: {name: n_sam, lr: 0.1, rho: 0.1}\n"
        assert [len(self.warned(load, set={"train.gradient_noise": s}, base=landscape)) for s in (0, 0.1)] == [1, 0]

    @pytest.mark.parametrize("optimizer", [{"name": "sam", "rho": 0.1}, {"name": "sgd"}, {"name": "vasso", "rho": 0.1}])
    def test_the_others_are_silent(self, load: Load, optimizer: dict[str, Any]) -> None:
        theta = {"theta": 0.5} if optimizer["name"] == "vasso" else {}
        assert self.warned(load, set={"optimizer": {"lr": 0.1, **optimizer, **theta}}) == []

    def test_in_a_sweep_the_share_is_reported(self, load: Load) -> None:
        sweep = """
sweep:
  optimizer: [{name: sgd, lr: 0.1}, {name: f_sam, lr: 0.1, rho: 0.1}]
  train.batch_size: [5, 20]
  seed: {range: [0, 100]}
"""
        (warning,) = self.warned(load, sweep)
        assert (
            warning.startswith("x.yaml:8: sweep.optimizer[1]: f_sam on the full batch perturbs downhill")
            and "in 1 of 4 combinations" in warning
        )

    def test_errors_come_before_warnings(self, problems: Problems) -> None:
        found = problems(set={"optimizer": {"name": "f_sam", "lr": 0.1, "rho": -1}})
        assert len(found) == 1 and "optimizer.rho" in found[0]


class TestRulesThatAskMore:
    @pytest.mark.parametrize("split", ["n_shards: 5", "micro_batch_size: 1", "n_shards: 10", "micro_batch_size: 2"])
    def test_a_batch_may_be_split_evenly(self, load: Load, split: str) -> None:
        load(set=[f"optimizer={{name: msam, lr: 0.1, rho: 0.1, {split}}}", "train.batch_size=10"])

    def test_a_batch_that_cannot_be_split_is_refused(self, problems: Problems) -> None:
        def refused(split: str, size: int) -> list[str]:
            return problems(set=[f"optimizer={{name: msam, lr: 0.1, rho: 0.1, {split}}}", f"train.batch_size={size}"])

        assert refused("n_shards: 3", 10) == ["--set: optimizer.n_shards: 3 does not divide a batch of 10 samples"]
        assert refused("micro_batch_size: 12", 10) == [
            "--set: optimizer.micro_batch_size: 12 is more than a batch of 10 samples"
        ]
        assert refused("n_shards: 3", 6) == [
            "--set: optimizer.n_shards: 3 is more than a batch of 2 samples, the last of an epoch"
        ]
        assert refused("n_shards: 2, micro_batch_size: 2", 10) == [
            "--set: optimizer.n_shards: give exactly one of n_shards and micro_batch_size"
        ]

    @pytest.mark.parametrize("sampling", ["without_replacement", "with_replacement"])
    def test_only_epochs_have_a_smaller_last_batch(self, load: Load, sampling: str) -> None:
        msam = "optimizer={name: msam, lr: 0.1, rho: 0.1, n_shards: 3}"
        assert run_of(load, msam, "train.batch_size=6", f"train.batch_sampling={sampling}").train.batch_size == 6

    def test_a_combination_that_fits_neither_the_batch_nor_the_last_counts_once(self, problems: Problems) -> None:
        sweep = "sweep: {optimizer: [{name: sgd, lr: 1}, {name: msam, n_shards: 4, lr: 1, rho: 1}], seed: [1, 2]}"
        (line,) = problems(sweep, set=["train.batch_size=7"])
        assert "4 does not divide a batch of 7 samples (in 1 of 2 combinations" in line

    def test_the_line_of_the_file_is_named(self, load: Load, problems: Problems) -> None:
        config = "data: {n_samples: 20, signal_norm: 5.0}\ntrain: {n_steps: 9}\n"
        assert problems(base=config + "optimizer:\n  {name: msam, lr: 0.1, rho: 0.1,\n   n_shards: 7}\n") == [
            "x.yaml:5: optimizer.n_shards: 7 does not divide a batch of 20 samples"
        ]
        assert problems(base=config + "optimizer: {name: msam, lr: 0.1, rho: 0.1}\n") == [
            "x.yaml:3: optimizer: give exactly one of n_shards and micro_batch_size"
        ]

    @pytest.mark.parametrize(
        ("optimizer", "who"),
        [
            ("{name: adam, lr: 0.1}", "adam"),
            ("{name: sam, base: signsgd, lr: 0.1, rho: 0.1}", "sam"),
            ("{name: asam_elementwise, lr: 0.1, rho: 0.1}", "asam_elementwise"),
        ],
    )
    def test_rules_that_need_coordinates_run_on_explicit_weights_alone(
        self, load: Load, problems: Problems, optimizer: str, who: str
    ) -> None:
        assert run_of(load, f"optimizer={optimizer}").engine == "weights"
        assert problems(set=[f"optimizer={optimizer}", "engine=gram"]) == [
            f"--set: optimizer.name: {who} needs coordinates, which the gram engine does not provide"
        ]

    @pytest.mark.parametrize("optimizer", ["{name: muon, lr: 0.1}", "{name: asam, lr: 0.1, rho: 0.1}"])
    def test_rules_that_need_filters_run_on_coefficients_and_on_no_landscape(
        self, load: Load, problems: Problems, optimizer: str
    ) -> None:
        assert run_of(load, f"optimizer={optimizer}").engine == "gram"
        base = f"network: {{model: quadratic}}\ndata: none\noptimizer: {optimizer}\ntrain: {{n_steps: 3}}\n"
        assert "needs patches, which a network of model quadratic does not provide" in problems(base=base)[-1]

    def test_options_of_torch_are_tried(self, load: Load, problems: Problems) -> None:
        good = "{name: torch_optim, lr: 0.1, cls: torch.optim.RMSprop, options: {alpha: 0.5}}"
        assert run_of(load, f"optimizer={good}").columns()["optimizer.options"] == '{"alpha": 0.5}'
        bad = good.replace("alpha", "alfa")
        (problem,) = problems(set=[f"optimizer={bad}"])
        assert problem.startswith("--set: optimizer.options: ") and "unexpected keyword argument 'alfa'" in problem
