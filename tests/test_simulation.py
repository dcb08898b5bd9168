"""The loop: what is recorded, how runs end, and that a run is the same whoever is beside it."""

import re
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from helpers import (
    ALL_TRACKERS,
    GRAM_RULES,
    IN_LAW,
    PROPERTY,
    QUICK_TRACKERS,
    RULES,
    engine_of,
    make_run,
    mini_batches,
    same_bits,
)
from hypothesis import given
from hypothesis import strategies as st

from featlearn.engines.protocol import Loss
from featlearn.geometry import draw_run
from featlearn.linalg import product
from featlearn.optim import SAM, SGD
from featlearn.runs import Record, Train
from featlearn.simulation import block_key, lanes, simulate, simulate_block
from featlearn.trackers import AverageSharpness, Decomposition, MSharpness, TestError
from featlearn.trackers import Loss as LossTracker

FEW = {
    TestError: TestError(n_points=16, n_scrambles=2),
    AverageSharpness: AverageSharpness(n_directions=2),
    MSharpness: MSharpness(m=8),
}
EVERY_TRACKER = tuple(FEW.get(type(tracker), tracker) for tracker in ALL_TRACKERS)

# what is recorded


@pytest.mark.parametrize("engine", ["gram", "weights"])
@pytest.mark.parametrize("steps", [(0, 20), (0, 3, 7, 20), tuple(range(21)), (20,)])
def test_rows_are_at_the_recorded_steps(engine, steps):
    trajectory = simulate(make_run(RULES["sam"], engine=engine, record=Record(steps=steps, trackers=QUICK_TRACKERS)))
    assert trajectory.steps.tolist() == list(steps)
    assert all(values.shape == (len(steps),) for values in trajectory.values.values())


@pytest.mark.parametrize("name", RULES)
def test_a_row_is_the_end_of_a_shorter_run(name):
    """A step is one update: the row at step s is the last row of the run of s steps, bit for bit."""
    run = make_run(RULES[name], train__batch_size=3, record=Record(steps=(0, 4, 7, 20), trackers=QUICK_TRACKERS))
    long = simulate(run)
    for row, step in enumerate(long.steps.tolist()):
        short = simulate(
            replace(run, train=replace(run.train, n_steps=step), record=replace(run.record, steps=(step,)))
        )
        assert short.steps.tolist() == [step]
        assert all(short.values[key][-1] == long.values[key][row] for key in long.values)


def test_recording_more_often_changes_nothing():
    run = make_run(RULES["sam momentum, decay"], train__batch_size=3)
    often = simulate(replace(run, record=replace(run.record, steps=tuple(range(21)))))
    seldom = simulate(run)
    assert all(np.array_equal(often.values[key][[0, 10, 20]], seldom.values[key]) for key in seldom.values)


def test_step_zero_is_before_the_first_update():
    start = simulate(make_run()).values
    assert start["signal_coef_max"][0] == start["noise_coef_pos_max"][0] == 0
    assert start["noise_coef_pos_max"][1] > 0


def test_list_columns_have_one_list_a_row():
    trackers = (Decomposition(per_filter=True, per_sample=True),)
    trajectory = simulate(make_run(record=Record(steps=(0, 20), trackers=trackers)))
    assert trajectory.values["signal_coef"].shape == (2, 6) and trajectory.values["noise_coef"].shape == (2, 48)
    frame = trajectory.to_frame()
    assert len(frame["noise_coef"][1]) == 48 and frame["signal_coef"][1].max() == frame["signal_coef_max"][1]


# how a run ends

OFTEN = {"record": Record(steps=tuple(range(81)), trackers=(LossTracker(),)), "train": Train(n_steps=80, batch_size=8)}


def test_an_ordinary_run_takes_all_its_steps():
    trajectory = simulate(make_run())
    assert (trajectory.status, trajectory.stopped_step) == ("ok", 20)
    assert trajectory.message == "took all 20 steps"


FULL_BATCH = [(name, 8) for name, rule in RULES.items() if type(rule) in (SGD, SAM)]  # mini-batches show more


@pytest.mark.parametrize(("name", "batch_size"), [*((name, 3) for name in RULES), *FULL_BATCH])
def test_a_fitted_run_is_frozen_at_the_right_step(name, batch_size):
    """The first step at which the loss is at the level: found, recorded once, equal to the run that goes on."""
    free = make_run(RULES[name], **OFTEN)
    free = replace(free, train=replace(free.train, batch_size=batch_size))
    step = int(np.argmax(simulate(free).values["train_loss"] <= 0.3))
    assert step > 4
    stopping = replace(
        free, train=replace(free.train, stop_at_train_loss=0.3), record=Record(steps=(0, 4, 80), trackers=EVERY_TRACKER)
    )
    stopped = simulate(stopping)
    assert (stopped.status, stopped.stopped_step) == ("fitted", step)
    assert stopped.message == f"reached stop_at_train_loss after {step} steps"
    assert stopped.steps.tolist() == [0, 4, step]
    going_on = simulate(replace(free, record=Record(steps=(0, 4, step), trackers=EVERY_TRACKER)))
    for key in stopped.values:
        assert np.array_equal(stopped.values[key], going_on.values[key][:3]), key


def test_a_run_that_never_fits_goes_to_its_end():
    trajectory = simulate(make_run(train=Train(n_steps=20, batch_size=8, stop_at_train_loss=1e-9)))
    assert (trajectory.status, trajectory.stopped_step, trajectory.steps[-1]) == ("ok", 20, 20)


def test_a_run_may_be_fitted_before_it_starts():
    trajectory = simulate(make_run(train=Train(n_steps=20, batch_size=8, stop_at_train_loss=10.0)))
    assert (trajectory.status, trajectory.stopped_step, trajectory.steps.tolist()) == ("fitted", 0, [0])


WILD = {"seed": 1, "network__activation": "relu3", "record": Record(steps=(0, 5, 20), trackers=EVERY_TRACKER)}


@pytest.mark.parametrize("engine", ["gram", "weights"])
@pytest.mark.parametrize("rule", [SGD(lr=5.0), SGD(lr=5.0, momentum=0.5), SAM(rho=0.1, base=SGD(lr=5.0))])
def test_a_diverged_run_is_recorded_at_its_last_finite_step(engine, rule):
    run = make_run(rule, engine=engine, **WILD)
    trajectory = simulate(run)
    step = trajectory.stopped_step
    assert trajectory.status == "diverged" and 5 < step < 20
    assert trajectory.steps.tolist() == [0, 5, step]
    assert (
        trajectory.message == f"step {step + 1} gave parameters that are not finite; frozen at those after step {step}"
    )
    w = engine_of(run).initial()
    memory = rule.init(w)
    engine = engine_of(run)
    for t in range(step + 1):
        assert bool(w.finite()), t
        w, memory = rule.step(Loss(engine, torch.full((1, 8), 1 / 8, dtype=torch.float64)), w, memory, t)
    assert not bool(w.finite())
    for key in ("signal_coef_max", "noise_coef_pos_mean"):
        assert np.isfinite(trajectory.values[key]).all()


@pytest.mark.parametrize("lr", [0.5, 5.0, 50.0, 1e30, 1e200])
@pytest.mark.parametrize("activation", ["relu2", "relu3"])
def test_an_overflow_never_looks_like_an_error_rate(lr, activation):
    """Where the loss is not a number, neither is any error: 0 would be perfect in a phase diagram."""
    values = simulate(make_run(SGD(lr=lr), **{**WILD, "network__activation": activation})).values
    lost = np.isnan(values["train_loss"])
    assert np.isnan(values["train_error"][lost]).all() and np.isnan(values["test_error"][lost]).all()
    assert np.isfinite(values["train_error"][~lost]).all()


# neighbours


def crowd(**changes):
    """Runs of one block that end in every way: ok, fitted, diverged; with other numbers and dimensions."""
    small = {"network__activation": "relu3", "network__init_std": 0.1, **changes}
    train, record = (
        Train(n_steps=20, batch_size=3, stop_at_train_loss=0.4),
        Record(steps=(0, 8, 20), trackers=EVERY_TRACKER),
    )
    sam = SAM(rho=0.1, base=SGD(lr=0.1))
    return [
        make_run(sam, seed=0, train=train, record=record, **small),
        make_run(replace(sam, base=SGD(lr=100.0)), seed=1, train=train, record=record, **small),
        make_run(replace(sam, rho=0.01, base=SGD(lr=0.4)), seed=2, train=train, record=record, **small),
        make_run(replace(sam, rho=0.0), seed=3, data__dim=200, train=train, record=record, **small),
        make_run(sam, seed=0, data__flip_prob=0.3, train=train, record=record, **small),
        make_run(replace(sam, rho=0.5), seed=5, data__signal_norm=0.0, train=train, record=record, **small),
        make_run(sam, seed=6, data__noise_std=0.3, train=train, record=record, **{**small, "network__init_std": 0.0}),
    ]


CROWDS = {
    "plain": {},
    "orthogonal": {"data__orthogonal_noise": True},
    "independent, bias": {"data__n_patches": 3, "data__noise": "independent", "network__bias": True},
    "law": {"sampling": "gram"},
    "single precision": {"dtype": "float32"},
}


@pytest.fixture(scope="module", params=CROWDS)
def crowd_and_ends(request):
    runs = crowd(**CROWDS[request.param])
    return runs, [simulate_block([run])[0] for run in runs]


def test_a_run_is_the_same_alone_and_in_company(crowd_and_ends):
    """Bits, not digits: whoever is beside it, wherever it stands, however many they are, and however they end."""
    runs, alone = crowd_and_ends
    assert {"ok", "diverged"} <= {trajectory.status for trajectory in alone}
    rng = np.random.default_rng(0)
    orders = [list(range(7)), [6, 5, 4, 3, 2, 1, 0], [2, 0], *[rng.permutation(7)[:5].tolist() for _ in range(2)]]
    orders.append(rng.integers(0, 7, 128).tolist())
    for order in orders:
        together = simulate_block([runs[i] for i in order])
        for place, i in enumerate(order):
            assert same_bits(together[place], alone[i]), (order, place)


@pytest.mark.parametrize("shape", [(2, 17), (6, 9), (6, 11), (10, 9), (14, 11), (20, 21), (20, 22), (4, 5), (30, 61)])
def test_double_precision_products_do_not_depend_on_the_lane(shape):
    """What the bits of a run rest on, apart from the engine, at the size of a block."""
    n, (f, k) = lanes(make_run()), shape
    rng = np.random.default_rng(0)
    coef, gram = torch.tensor(rng.normal(size=(f, k))), torch.tensor(rng.normal(size=(k, k)))
    alike = product(coef.expand(n, f, k), gram.expand(n, k, k))
    assert torch.equal(alike, alike[:1].expand_as(alike))
    for place in (0, 1, 5, n - 1):
        others, grams = torch.tensor(rng.normal(size=(n, f, k))), torch.tensor(rng.normal(size=(n, k, k)))
        others[place], grams[place] = coef, gram
        assert torch.equal(product(others, grams)[place], alike[0])


def test_the_crowd_ends_in_every_way():
    ends = [simulate_block([run])[0] for run in crowd()]
    assert {trajectory.status for trajectory in ends} == {"ok", "fitted", "diverged"}
    assert len({trajectory.stopped_step for trajectory in ends if trajectory.status == "fitted"}) > 1


def test_same_seed_same_bits():
    for engine in ("gram", "weights"):
        run = make_run(RULES["sam"], engine=engine, train__batch_size=3)
        assert same_bits(simulate(run), simulate(run))
        assert not same_bits(simulate(run), simulate(replace(run, seed=1)))


def test_blocks_have_a_fixed_number_of_lanes():
    gram, weights = make_run(), make_run(engine="weights")
    assert lanes(gram) >= 64 and lanes(weights) >= 1
    full = [replace(gram, seed=seed) for seed in range(lanes(gram))]
    assert [trajectory.run.seed for trajectory in simulate_block(full)] == [run.seed for run in full]


def test_runs_that_may_share_a_block():
    run = make_run(RULES["sam window"])
    same = [
        replace(run, seed=4, name="other", theory=(("optimizer.rho", 1.0),)),
        make_run(replace(RULES["sam window"], rho=0.7, base=SGD(lr=0.3))),
        make_run(run.optimizer, data__dim=5000),
        make_run(run.optimizer, data__flip_prob=0.1, data__noise_std=2.0, network__init_std=None),
    ]
    other = [
        replace(run, data=replace(run.data, signal_norm=None, snr=0.1)),  # a block has one way of giving its numbers
        make_run(RULES["sam"]),
        make_run(RULES["sgd"]),
        make_run(run.optimizer, data__n_samples=9),
        make_run(run.optimizer, data__n_patches=3),
        make_run(run.optimizer, data__noise="independent"),
        make_run(run.optimizer, data__orthogonal_noise=True),
        make_run(run.optimizer, network__n_filters=4),
        make_run(run.optimizer, network__activation="relu2"),
        make_run(run.optimizer, network__bias=True),
        make_run(run.optimizer, network__filters="sum"),
        make_run(run.optimizer, network__init="uniform"),
        make_run(run.optimizer, train__batch_size=4),
        make_run(run.optimizer, train__n_steps=21),
        make_run(run.optimizer, train__stop_at_train_loss=0.1),
        make_run(run.optimizer, record__steps=(0, 20)),
        make_run(run.optimizer, record__trackers=QUICK_TRACKERS),
        make_run(run.optimizer, sampling="gram"),
        make_run(run.optimizer, engine="weights"),
        make_run(run.optimizer, dtype="float32"),
    ]
    assert {block_key(r) for r in same} == {block_key(run)}
    assert len({block_key(r) for r in [run, *other]}) == 1 + len(other)
    explicit = [make_run(engine="weights", data__dim=dim) for dim in (60, 70)]
    assert block_key(explicit[0]) != block_key(explicit[1])
    assert all(same_bits(t, simulate(r)) for t, r in zip(simulate_block(same), same, strict=True))


# sampling, precision, engine


def test_the_law_and_the_vectors_are_different_draws_of_one_problem():
    law, vectors = simulate(make_run(sampling="gram")), simulate(make_run(sampling="vectors"))
    assert law.status == vectors.status == "ok"
    assert law.values["train_loss"][-1] != vectors.values["train_loss"][-1]
    assert law.values["train_loss"][-1] == pytest.approx(vectors.values["train_loss"][-1], rel=0.5)


def test_single_precision_follows_double_for_a_while():
    double, single = (simulate(make_run(RULES["sam"], dtype=dtype)) for dtype in ("float64", "float32"))
    for key, values in single.values.items():
        assert values.dtype == np.float32 and double.values[key].dtype == np.float64
        assert np.allclose(values, double.values[key], rtol=1e-3, atol=1e-4), key
    assert any((single.values[key] != double.values[key].astype(np.float32)).any() for key in single.values)


@pytest.mark.parametrize("name", [name for name in GRAM_RULES if name not in IN_LAW])
def test_both_engines_write_the_same_rows(name):
    run = make_run(RULES[name], train__batch_size=3, data__flip_prob=0.2, network__bias=True)
    gram, weights = (simulate(replace(run, engine=engine)) for engine in ("gram", "weights"))
    assert gram.steps.tolist() == weights.steps.tolist() and gram.message == weights.message
    for key, values in gram.values.items():
        if not key.startswith("average_sharpness"):  # its directions are equal in law only
            assert np.allclose(values, weights.values[key], rtol=1e-8, atol=1e-9), key


def test_a_config_is_simulated_at_its_base():
    class Config:
        def base_run(self):
            return make_run(seed=9)

    assert same_bits(simulate(Config()), simulate(make_run(seed=9)))


def test_draws_are_those_of_the_runs_own_seed():
    run = make_run(seed=11)
    engine = engine_of(replace(run, seed=4), run)
    draw = draw_run(run.data, run.network, 11)
    assert torch.equal(engine.problem.gram[1], draw.geometry.gram[0])
    assert torch.equal(engine.problem.labels[1], draw.training.labels[0])


# mini-batches


def batches_of(run, count):
    like = torch.zeros(1, run.data.n_samples, dtype=torch.float64)
    return [loss.batch[0] for loss in islice(mini_batches(like, run).losses(None), count)]


@given(st.integers(2, 20), st.data(), st.integers(0, 2**32))
@PROPERTY
def test_every_epoch_uses_every_sample_once(n, data, seed):
    size = data.draw(st.integers(1, n))
    run = make_run(seed=seed, data__n_samples=n, train__batch_size=size)
    per_epoch = -(-n // size)
    batches = batches_of(run, 3 * per_epoch)
    for epoch in range(3):
        rows = batches[epoch * per_epoch : (epoch + 1) * per_epoch]
        sizes = [int((row > 0).sum()) for row in rows]
        assert sizes == [size] * (n // size) + [n % size] * (n % size > 0)
        assert torch.equal(torch.stack(rows).count_nonzero(0), torch.ones(n, dtype=torch.int64))
        for row, count in zip(rows, sizes, strict=True):
            assert set(row.tolist()) <= {0.0, 1 / count}


def test_epochs_and_seeds_are_shuffled_apart():
    orders = torch.stack(batches_of(make_run(train__batch_size=1), 24)).argmax(1).reshape(3, 8)
    first, second, third = (tuple(order.tolist()) for order in orders)
    assert len({first, second, third}) == 3
    other = torch.stack(batches_of(make_run(seed=1, train__batch_size=1), 8)).argmax(1)
    assert tuple(other.tolist()) != first


def test_batches_do_not_depend_on_anything_but_the_seed():
    """SGD and SAM, any signal, any dimension and any neighbours: paired runs see the same batches."""
    run = make_run(RULES["sgd"], train__batch_size=3)
    others = [
        make_run(RULES["sam"], train__batch_size=3),
        make_run(train__batch_size=3, data__signal_norm=7.0, data__dim=500, data__flip_prob=0.4),
        make_run(train__batch_size=3, sampling="gram", network__bias=True, dtype="float32"),
    ]
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(batches_of(run, 9), batches_of(other, 9), strict=True))
    block = mini_batches(torch.zeros(3, 8, dtype=torch.float64), replace(run, seed=8), run, others[0]).losses(None)
    for alone, loss in zip(batches_of(run, 9), block, strict=False):
        assert torch.equal(loss.batch[1], alone) and torch.equal(loss.batch[2], alone)


def test_pairs_share_everything_but_the_optimizer():
    """At step 0 SGD and SAM of one seed are the same network on the same data: their rows agree bit for bit."""
    sgd, sam = (simulate(make_run(RULES[name], seed=3, record__trackers=QUICK_TRACKERS)) for name in ("sgd", "sam"))
    assert all(sgd.values[key][0] == sam.values[key][0] for key in sgd.values)
    assert sgd.values["train_loss"][-1] != sam.values["train_loss"][-1]


def test_samples_are_drawn_evenly():
    """The first batch of three holds each of 8 samples in 3/8 of the seeds."""
    counts = sum((batches_of(make_run(seed=seed, train__batch_size=3), 1)[0] > 0).int() for seed in range(2000))
    z = (counts - 750) / np.sqrt(2000 * 3 / 8 * 5 / 8)
    assert z.abs().max() < 4


# the frame


def test_a_frame_has_the_contracts_columns():
    run = make_run(RULES["sam window"], data__flip_prob=0.1)
    frame = simulate(replace(run, theory=(("optimizer.rho", 0.5),))).to_frame()
    assert frame.columns.is_unique
    assert list(frame.columns[:3]) == ["run_id", "step", "status"]
    expected = """
        name seed engine sampling dtype data.model data.n_samples data.dim data.n_patches data.signal_norm
        data.snr data.noise_std data.flip_prob data.noise data.orthogonal_noise network.n_filters
        network.activation network.init network.init_std network.patches network.filters network.bias
        optimizer.name optimizer.lr optimizer.rho optimizer.start optimizer.stop optimizer.base
        optimizer.momentum optimizer.nesterov optimizer.weight_decay optimizer.rho.theory train.n_steps
        train.batch_size train.stop_at_train_loss stopped_step train_loss train_error grad_norm test_error
        test_error_true test_error_se signal_coef_max signal_coef_mean noise_coef_pos_max noise_coef_pos_mean
        noise_coef_neg_min noise_coef_neg_mean noise_deactivated signal_kept
    """
    assert set(expected.split()) <= set(frame.columns)
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", column) for column in frame.columns)
    assert frame["step"].tolist() == [0, 10, 20] and set(frame["status"]) == {"ok"}
    assert frame["optimizer.name"].unique().tolist() == ["sam"] and frame["optimizer.base"].unique().tolist() == ["sgd"]
    assert frame["run_id"].unique().tolist() == [run.run_id]
    assert (frame["data.signal_norm"] == 2.0).all() and (frame["optimizer.rho.theory"] == 0.5).all()


def test_losses_fall_in_the_frame_of_an_ordinary_run():
    frame = simulate(make_run(record=Record(steps=(0, 5, 10, 20), trackers=(LossTracker(),)))).to_frame()
    assert all(a > b for a, b in pairwise(frame["train_loss"]))


def test_an_invalid_simulation_is_refused():
    with pytest.raises(TypeError, match=r"expected a RunConfig, or what load_config returns; found 'first\.yaml'"):
        simulate("first.yaml")
    for device in ("gpu", *([] if torch.cuda.is_available() else ["cuda"])):
        with pytest.raises(
            ValueError, match=r"device must be auto, cpu or cuda; found 'gpu'|torch finds no CUDA device"
        ):
            simulate(make_run(), device=device)
