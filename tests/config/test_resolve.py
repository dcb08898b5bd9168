"""The automatic choices for a run, and conflicts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featlearn.config import SweepConfig
from featlearn.config.resolve import recorded
from featlearn.config.sections import Head, RecordSection
from featlearn.engines import ENGINES
from featlearn.optim import SGD
from featlearn.runs import RunConfig
from featlearn.trackers import Loss

Load = Callable[..., SweepConfig]
Problems = Callable[..., list[str]]


def run_of(load: Load, *settings: str) -> RunConfig:
    return load(set=settings).base_run()


class TestEngine:
    def test_auto_takes_the_gram_engine_and_its_law(self, load: Load) -> None:
        run = run_of(load)
        assert (run.engine, run.sampling) == ("gram", "gram")

    def test_vectors_are_drawn_where_there_is_no_law(self, load: Load) -> None:
        assert run_of(load, "network.init=uniform").sampling == "vectors"
        assert run_of(load, "data.dim=41").sampling == "gram"
        assert run_of(load, "data.dim=40").sampling == "vectors"

    def test_the_weight_engine_needs_vectors(self, load: Load, problems: Problems) -> None:
        assert run_of(load, "engine=weights").sampling == "vectors"
        assert problems(set=["engine=weights", "sampling=gram"]) == [
            "--set: sampling: gram draws no vectors, which the weights engine needs"
        ]

    def test_requested_choices_are_kept(self, load: Load) -> None:
        run = run_of(load, "engine=gram", "sampling=vectors", "dtype=float32")
        assert (run.engine, run.sampling, run.dtype) == ("gram", "vectors", "float32")

    @pytest.mark.parametrize(
        ("setting", "reason"),
        [
            ("network.init=uniform", "init: uniform is not Gaussian"),
            ("data.dim=40", "dim - 1 = 39 is less than the 40 noise vectors and filters"),
        ],
    )
    def test_gram_sampling_without_a_law_is_refused(self, problems: Problems, setting: str, reason: str) -> None:
        (line,) = problems(set=["sampling=gram", setting])
        assert line.startswith(f"--set: sampling: cannot be gram: {reason}")

    def test_a_rule_of_coordinates(self, load: Load, problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SGD, "needs", frozenset({"coordinates"}))
        assert run_of(load, "optimizer={name: sgd, lr: 1}").engine == "weights"
        assert run_of(load).engine == "weights", "SAM around a rule of coordinates needs them too"
        (line,) = problems("engine: gram")
        assert line == "x.yaml:4: optimizer.name: sam needs coordinates, which the gram engine does not provide"

    def test_a_tracker_of_coordinates(self, load: Load, problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Loss, "needs", frozenset({"coordinates"}), raising=False)
        assert run_of(load, "record.trackers=[loss]").engine == "weights"
        assert run_of(load, "record.trackers=[decomposition]").engine == "gram"
        (line,) = problems("record: {trackers: [loss]}", set=["engine=gram"])
        assert line == "x.yaml:6: record.trackers: loss needs coordinates, which the gram engine does not provide"

    def test_engines_are_the_words_of_the_config_and_provide_what_they_declare(self) -> None:
        from featlearn.engines.explicit.engine import WeightEngine
        from featlearn.engines.span.engine import GramEngine

        assert get_args(get_type_hints(Head)["engine"]) == ("auto", *ENGINES)
        assert {"gram": GramEngine.provides, "weights": WeightEngine.provides} == ENGINES


class TestTheory:
    def test_init_std_by_hand(self, load: Load) -> None:
        run = run_of(load, "network.init_std={theory: 3}", "data.dim=10000", "data.n_patches=4", "data.noise_std=0.5")
        assert run.network.init_std == 3 / (4 * 0.5 * 100)
        assert run.theory == (("network.init_std", 3.0),)

    def test_the_radius_by_hand(self, load: Load) -> None:
        settings = ["optimizer.rho={theory: 0.5}", "data.dim=400", "train.batch_size=9", "network.n_filters=6"]
        assert run_of(load, *settings).optimizer.rho == pytest.approx(0.5 * 6 * 3 / (2 * 1 * 20), rel=1e-15)
        assert run_of(load, *settings, "train.batch_size=full", "data.n_samples=16").optimizer.rho == 0.5 * 6 * 4 / 40

    def test_every_run_of_a_sweep_has_its_own_scale(self, load: Load) -> None:
        runs = load("sweep: {data.dim: [100, 400]}", set=["optimizer.rho={theory: 1}"]).runs()
        assert [run.optimizer.rho * math.sqrt(run.data.dim) for run in runs] == pytest.approx([5 * math.sqrt(20)] * 2)

    def test_a_scale_that_overflows_is_refused(self, problems: Problems) -> None:
        lines = problems(set=["optimizer.rho={theory: 1e300}", "data.noise_std=1e-100", "data.signal_norm=0"])
        assert lines == [
            "--set: optimizer.rho: expected a number >= 0 or {theory: a number >= 0}; theory gives Infinity"
        ]

    def test_zero_is_a_scale(self, load: Load) -> None:
        assert run_of(load, "optimizer.rho={theory: 0}").optimizer.rho == 0


class TestRecord:
    def steps(self, every: Any, n_steps: int) -> tuple[int, ...]:
        return recorded(RecordSection(every=every), n_steps, ()).steps

    def test_every_so_many_steps(self) -> None:
        assert self.steps(10, 35) == (0, 10, 20, 30, 35)
        assert self.steps(99, 35) == (0, 35)

    def test_a_list_of_steps(self, problems: Problems) -> None:
        assert self.steps([7, 3, 7], 35) == (0, 3, 7, 35)
        assert self.steps([], 35) == (0, 35)
        assert problems(set=["record.every=[3, 101]"]) == [
            "--set: record.every: step 101 is after the last, train.n_steps = 100"
        ]

    def test_logarithmic_steps(self) -> None:
        assert self.steps({"log": 4}, 1000) == (0, 1, 10, 100, 1000)
        assert self.steps({"log": 1}, 5) == (0, 1, 5)
        assert self.steps({"log": 50}, 3) == (0, 1, 2, 3)

    @given(st.integers(1, 200) | st.builds(dict, log=st.integers(1, 60)), st.integers(1, 5000))
    def test_steps_are_sorted_distinct_and_hold_both_ends(self, every: Any, n_steps: int) -> None:
        steps = self.steps(every, n_steps)
        assert (steps[0], steps[-1]) == (0, n_steps)
        assert list(steps) == sorted(set(steps))

    def test_more_records_than_memory_are_refused(self, problems: Problems) -> None:
        (line,) = problems(set=["record.every=1", "train.n_steps=9000000000000000000"])
        assert line == "--set: record.every: would record 9000000000000000000 steps; the limit is 1000000"

    def test_by_default_fifty_steps_are_recorded(self, load: Load) -> None:
        record = run_of(load, "train.n_steps=100000").record
        assert 45 < len(record.steps) <= 51
        assert [type(tracker).__name__ for tracker in record.trackers] == ["Loss", "Decomposition", "TestError"]
