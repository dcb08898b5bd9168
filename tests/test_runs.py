"""A run's identity: every number that decides its rows changes the id, nothing else does."""

import json
import math
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from helpers import QUICK_TRACKERS, RULES, make_landscape_run, make_run

import featlearn.runs
from featlearn.data import XOR
from featlearn.data.none import NoData
from featlearn.models.quadratic import Quadratic
from featlearn.models.saddle import Saddle
from featlearn.optim import SAM, SGD
from featlearn.optim.schedules import RADIUS_SCHEDULES, Constant, Cosine, FollowLR, StepDecay
from featlearn.runs import Record, Train, Trajectory
from featlearn.trackers import Decomposition, Loss, TestError
from featlearn.types import LATER

RUN = make_run(SAM(rho=0.1, start=1, stop=15, base=SGD(lr=0.1, momentum=0.5)))


def scheduled(schedule):
    return {"optimizer": replace(RUN.optimizer, base=replace(RUN.optimizer.base, lr_schedule=schedule))}


ON_LANDSCAPE = {"engine": "weights", "network": Quadratic(spectrum=(3.0, 0.5)), "data": NoData()}
CHANGES = {
    "seed": {"seed": 1},
    "engine": {"engine": "weights"},
    "sampling": {"sampling": "gram"},
    "dtype": {"dtype": "float32"},
    "data.n_samples": {"data__n_samples": 9},
    "data.dim": {"data__dim": 61},
    "data.n_patches": {"data__n_patches": 3},
    "data.signal_norm": {"data__signal_norm": 2.0000000000000004},
    "data.noise_std": {"data__noise_std": 1.1},
    "data.flip_prob": {"data__flip_prob": 0.1},
    "data.noise": {"data__noise": "independent"},
    "data.orthogonal_noise": {"data__orthogonal_noise": True},
    "network.n_filters": {"network__n_filters": 4},
    "network.activation": {"network__activation": "relu2"},
    "network.loss": {"network__loss": "hinge"},
    "network.second_layer": {"network__second_layer": "trained"},
    "network.init": {"network__init": "uniform"},
    "network.init_std": {"network__init_std": 0.06},
    "network.patches": {"network__patches": "mean"},
    "network.filters": {"network__filters": "sum"},
    "network.bias": {"network__bias": True},
    "optimizer.name": {"optimizer": SGD(lr=0.1, momentum=0.5)},
    "optimizer.rho": {"optimizer": replace(RUN.optimizer, rho=0.2)},
    "optimizer.start": {"optimizer": replace(RUN.optimizer, start=2)},
    "optimizer.stop": {"optimizer": replace(RUN.optimizer, stop=None)},
    "optimizer.lr": {"optimizer": replace(RUN.optimizer, base=SGD(lr=0.2, momentum=0.5))},
    "optimizer.momentum": {"optimizer": replace(RUN.optimizer, base=SGD(lr=0.1, momentum=0.6))},
    "optimizer.nesterov": {"optimizer": replace(RUN.optimizer, base=SGD(lr=0.1, momentum=0.5, nesterov=True))},
    "optimizer.weight_decay": {"optimizer": replace(RUN.optimizer, base=SGD(lr=0.1, momentum=0.5, weight_decay=0.1))},
    "optimizer.rho_schedule": {"optimizer": replace(RUN.optimizer, rho_schedule=FollowLR())},
    "optimizer.rho_schedule.lr_final": {"optimizer": replace(RUN.optimizer, rho_schedule=FollowLR(lr_final=0.1))},
    "optimizer.lr_schedule": scheduled(Constant(warmup=1)),
    "optimizer.lr_schedule.name": scheduled(StepDecay(every=5)),
    "optimizer.lr_schedule.every": scheduled(StepDecay(every=6)),
    "optimizer.lr_schedule.gamma": scheduled(StepDecay(every=5, gamma=0.2)),
    "optimizer.lr_schedule.steps": scheduled(Cosine(steps=5)),
    "optimizer.lr_schedule.warmup": scheduled(Cosine(steps=5, warmup=1)),
    "optimizer.lr_schedule.final": scheduled(Cosine(steps=5, final=0.1)),
    "train.n_steps": {"train__n_steps": 21},
    "train.batch_size": {"train__batch_size": 7},
    "data.noise_spectrum": {"data__noise_spectrum": ((0.5, 0.5), (1.5, 0.5))},
    "train.stop_at_train_error": {"train__stop_at_train_error": 0.0},
    "train.stop_at_train_loss": {"train__stop_at_train_loss": 0.1},
    "train.batch_sampling": {"train__batch_sampling": "without_replacement"},
    "another train.batch_sampling": {"train__batch_sampling": "with_replacement"},
    "a landscape": ON_LANDSCAPE,
    "train.gradient_noise": {**ON_LANDSCAPE, "train__gradient_noise": 0.1},
    "record.steps": {"record__steps": (0, 11, 20)},
    "record.trackers": {"record__trackers": QUICK_TRACKERS},
    "a tracker's number": {"record__trackers": (Loss(), TestError(n_points=32))},
    "another number of it": {"record__trackers": (Loss(), TestError(n_points=32, n_scrambles=9))},
    "a tracker's option": {"record__trackers": (Decomposition(per_filter=True),)},
}


XOR_RUN = {"data": XOR(n_samples=8, dim=60, signal_norm=2.0)}


def test_a_data_model_and_its_own_numbers_are_part_of_the_id():
    runs = [RUN, make_run(RUN.optimizer, **XOR_RUN), make_run(RUN.optimizer, **XOR_RUN, data__angle=70.0)]
    assert len({run.run_id for run in runs}) == 3 and runs[2].columns()["data.angle"] == 70.0


def test_an_option_of_a_landscape_that_is_not_given_leaves_id_and_columns_as_they_were():
    """The ids are those from before these landscapes had ``start``."""
    runs = [make_landscape_run(Quadratic()), make_landscape_run(Saddle())]
    assert [run.run_id for run in runs] == ["35d543a849b00a42", "91c883a663a6401f"]
    assert not any("network.start" in run.columns() for run in runs)
    placed = make_landscape_run(Saddle(start=(0.1, 0.0)))
    assert placed.columns()["network.start"] == "[0.1, 0.0]" and placed.run_id != runs[1].run_id


def changed(key):
    parts = dict(CHANGES[key])
    return make_run(parts.pop("optimizer", RUN.optimizer), **parts)


def test_every_change_makes_another_run():
    ids = [RUN.run_id, *[changed(key).run_id for key in CHANGES]]
    assert len(set(ids)) == len(ids)


def test_no_field_is_forgotten():
    """A field added to data, network, rules or training must change the id: it must stand in the table above."""
    tried = {key.split(".")[-1] for key in CHANGES}
    schedules = [Constant(), StepDecay(every=5), Cosine(steps=5), FollowLR()]
    assert {type(schedule) for schedule in schedules} == set(RADIUS_SCHEDULES.values())
    for part in (*schedules, RUN.data, RUN.network, RUN.optimizer, RUN.optimizer.base, RUN.train, RUN.record, RUN):
        names = {field.name for field in fields(part)}
        assert names - tried <= {"snr", "base", "name", "theory", "data", "network", "optimizer", "train", "record"}


def test_a_schedule_is_a_word_and_dotted_numbers_and_none_leaves_no_column():
    columns = changed("optimizer.lr_schedule.final").columns()
    found = {key: value for key, value in columns.items() if "schedule" in key}
    cosine = {"": "cosine", ".steps": 5, ".final": 0.1, ".warmup": 0}
    assert found == {f"optimizer.lr_schedule{key}": value for key, value in cosine.items()}
    assert changed("optimizer.rho_schedule").columns()["optimizer.rho_schedule"] == "lr"
    assert not [key for key in RUN.columns() if "schedule" in key]


@pytest.mark.parametrize("change", [{"name": "other"}, {"theory": (("optimizer.rho", 1.0),)}])
def test_names_and_theory_do_not(change):
    assert replace(RUN, **change).run_id == RUN.run_id


def test_snr_and_signal_norm_are_two_words_for_one_run():
    by_snr = replace(RUN, data=replace(RUN.data, signal_norm=None, snr=0.25))
    by_norm = replace(RUN, data=replace(RUN.data, signal_norm=by_snr.data.strength))
    assert by_snr.run_id == by_norm.run_id
    assert by_snr.columns() == by_norm.columns()
    default = replace(RUN, network=replace(RUN.network, init_std=None))
    written = replace(RUN, network=replace(RUN.network, init_std=RUN.network.std(60) * 0 + default.network.std(60)))
    assert default.run_id == written.run_id and default.columns() == written.columns()


@pytest.mark.parametrize("dim", [60, 1000, 1821, 3317])
def test_the_name_of_the_signal_that_was_given_keeps_every_bit_and_the_other_follows(dim):
    snrs = np.geomspace(0.01, 0.2, 40).tolist()
    by_snr = [make_run(data__dim=dim, data__signal_norm=None, data__snr=snr).columns() for snr in snrs]
    assert [columns["data.snr"] for columns in by_snr] == snrs
    assert [columns["data.signal_norm"] for columns in by_snr] == [snr * math.sqrt(dim) for snr in snrs]
    by_norm = [make_run(data__dim=dim, data__signal_norm=norm).columns() for norm in snrs]
    assert [columns["data.signal_norm"] for columns in by_norm] == snrs


@pytest.mark.parametrize("numbers", [(2, 2.0), (-0.0, 0.0, 0)])
def test_equal_numbers_make_equal_runs(numbers):
    """As if every one were the first that the process met: equal sections share a cached text."""
    ids = set()
    for number in numbers:
        featlearn.runs._text.cache_clear()
        ids.add(replace(RUN, data=replace(RUN.data, signal_norm=number)).run_id)
    assert len(ids) == 1


def test_the_id_is_a_short_hash_that_survives_the_process():
    assert len(RUN.run_id) == 16 and int(RUN.run_id, 16) >= 0
    fresh = replace(RUN)
    assert not vars(fresh).keys() & {"run_id"}  # it is not sent along
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).run_id)"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(fresh), capture_output=True, check=True)
    assert done.stdout.decode().strip() == RUN.run_id


def test_keys_that_were_added_later_leave_earlier_ids():
    """The ids of the version before train.batch_sampling and train.gradient_noise, and their columns."""
    rule = SAM(rho=0.1, base=SGD(lr=0.1))
    run = make_run(rule, record__trackers=(Loss(),), train__batch_size=3)
    landscape = make_landscape_run(Quadratic(spectrum=(3.0, 0.5)), rule, trackers=(Loss(),))
    assert (run.run_id, landscape.run_id) == ("f9bc905c2df7a225", "11f323bb2989552b")
    assert run.columns().items() >= LATER.items()
    known = {f"train.{field.name}": field.default for field in fields(Train)} | {"optimizer.dynamics": "rule"}
    assert known.items() >= LATER.items()
    assert replace(landscape, train=replace(landscape.train, gradient_noise=0)).run_id == landscape.run_id
    assert replace(landscape, train=replace(landscape.train, gradient_noise=0.1)).run_id != landscape.run_id


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train__batch_sampling": "replacement"}, "train.batch_sampling: expected one of epochs, without_replacement"),
        ({"train__gradient_noise": -0.1}, "train.gradient_noise: expected a finite number >= 0; found -0.1"),
        ({"train__gradient_noise": math.nan}, "train.gradient_noise: expected a finite number >= 0; found nan"),
        ({"train__gradient_noise": 0.1}, "train.gradient_noise: only a landscape takes gradient noise"),
    ],
)
def test_a_drawing_or_a_noise_that_there_is_not_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_run(**changes)


def test_another_schema_makes_other_ids(monkeypatch):
    before = replace(RUN).run_id
    monkeypatch.setattr(featlearn.runs, "SCHEMA_VERSION", 999)
    assert replace(RUN).run_id != before


def test_columns_are_flat_and_plain():
    columns = replace(RUN, theory=(("optimizer.rho", 0.5), ("network.init_std", 1.0))).columns()
    assert columns["data.dim"] == 60 and columns["optimizer.lr"] == 0.1 and columns["optimizer.rho"] == 0.1
    assert columns["optimizer.name"] == "sam" and columns["optimizer.base"] == "sgd"
    assert columns["optimizer.rho.theory"] == 0.5 and columns["network.init_std.theory"] == 1.0
    assert columns["data.snr"] == pytest.approx(2 / np.sqrt(60))
    assert all(isinstance(v, str | int | float | bool | None) for v in columns.values())
    assert json.loads(json.dumps(columns)) == columns
    assert not any(isinstance(v, np.generic) for v in columns.values())


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_columns(name):
    columns = replace(RUN, optimizer=RULES[name]).columns()
    assert columns["optimizer.name"] == name.split()[0].strip(",")


def test_a_run_is_frozen():
    for part in (RUN, RUN.train, RUN.record):
        with pytest.raises(FrozenInstanceError):
            part.name = 1


def test_a_trajectory_makes_one_row_a_step():
    values = {"train_loss": np.array([0.7, 0.1]), "signal_coef": np.zeros((2, 6))}
    run = replace(RUN, record=Record(steps=(0, 20), trackers=()))
    frame = Trajectory(run, "fitted", "sentence", 12, np.array([0, 12]), values).to_frame()
    assert frame["step"].tolist() == [0, 12] and frame["train_loss"].tolist() == [0.7, 0.1]
    assert frame["stopped_step"].tolist() == [12, 12] and frame["signal_coef"][0].tolist() == [0.0] * 6
    assert set(run.columns()) <= set(frame.columns)


def test_a_rule_whose_steps_have_changed_their_meaning_is_another_run(monkeypatch):
    plain, msam = make_run(RULES["sam"]), make_run(RULES["msam"])
    before = msam.run_id
    monkeypatch.setattr(type(msam.optimizer), "revision", 99)
    assert replace(msam).run_id != before and replace(plain).run_id == plain.run_id
