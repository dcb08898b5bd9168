"""The kernel that replays a tape on a GPU takes the steps of the plain engine; without a GPU in Triton's interpreter.

The interpreter runs the kernel's program with numpy, so these tests do not cover a device's compiler:
bench/test_compiled.py tests that it compiles, and test_cuda.py its results on a device.
"""

import math
from dataclasses import replace
from itertools import cycle, pairwise

import pytest
import torch
from helpers import RECORDED, RULES, make_run, mini_batches, programs_of, run_to
from mock_device import quicken_interpreter
from repeated_patch import RepeatedPatch

from featlearn.data import XOR
from featlearn.engines.span.engine import GramEngine
from featlearn.functions import ACTIVATIONS, LOSSES, LossFunction
from featlearn.loop import ReplayStepper, Stepper, tapes
from featlearn.loop.state import merge
from featlearn.optim import SGD
from featlearn.simulation import build_engine

pytest.importorskip("triton")
pytestmark = [  # where numpy overflows
    pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:All-NaN slice encountered:RuntimeWarning"),
]

from featlearn.engines.gpu.engine import GPUGramEngine, fits, padded_shape  # noqa: E402

quicken_interpreter()
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
XOR_DATA = XOR(n_samples=8, dim=60, signal_norm=2.0, angle=70.0, flip_prob=0.3)
SETTINGS = {
    "shared noise": {},
    "bias, independent noise": {"network__bias": True, "data__noise": "independent", "data__n_patches": 4},
    "mini-batches, float32": {"dtype": "float32", "train__batch_size": 3},
}
SYNCS = (0, 1, 5, 17)


def crowd(rule, **changes):
    """Four runs of one block, one of which diverges."""
    changes = {"network__activation": "relu3", "network__init_std": 0.1, **changes}
    noises = (1.0, 3e5, 0.5, 1.0)
    return [make_run(rule, seed=seed, data__noise_std=noise, **changes) for seed, noise in enumerate(noises)]


def pair(runs, level=None, changed=lambda problem: {}, wrong=lambda problem: {}):
    """The plain steps, the kernel's, and the losses of both; ``wrong``: changes to the kernel's problem."""
    problem, rule = build_engine(runs, DEVICE).problem, runs[0].optimizer
    problem = replace(problem, **changed(problem))
    plain, device = GramEngine(problem), GPUGramEngine(replace(problem, **wrong(problem)))
    batches = mini_batches(problem.labels, *runs)
    return Stepper(plain, rule, level), ReplayStepper(device, rule, level), lambda: batches.losses(plain)


def run_both(plain, replayed, losses, syncs=SYNCS):
    one, other = losses(), losses()
    a, b = plain.start(next(one)), replayed.start(next(other))
    for first, last in pairwise(syncs):
        a, b = plain.run(a, one, first, last), run_to(replayed, b, other, first, last)
    return a, b


def distance(a, b, *, memory=True):
    """The largest relative difference of a run's w, and of its memory while it moves; infinite if its end differs."""
    found = [0.0]

    def compare(x, y):
        for one, other in zip(x.double(), y.double(), strict=True):
            found.append(((one - other).abs().max() / one.abs().max().clamp(min=1e-30)).item())

    merge(compare, a.w, b.w)
    if memory:
        merge(lambda x, y: compare(x[a.active], y[a.active]), a.memory, b.memory)
    same = all(torch.equal(x, y) for x, y in ((a.end, b.end), (a.stopped, b.stopped), (a.batch, b.batch)))
    return max(found) if same else math.inf


KINDS = [(setting, level) for setting in SETTINGS for level in (None, 0.5)]
CASES = [(name, *KINDS[i % len(KINDS)]) for i, name in enumerate(RECORDED)]  # the kinds in turn; some rules in all
CASES += [(name, *kind) for name in ("sgd momentum", "sam momentum, decay", "looksam window") for kind in KINDS]


@pytest.mark.parametrize(("name", "setting", "level"), [*dict.fromkeys(CASES)])
def test_the_kernel_takes_the_steps(name, setting, level):
    """In single precision the parameters alone: a gradient kept from a fitted sample is mostly rounding there."""
    plain, replayed, losses = pair(crowd(RULES[name], **SETTINGS[setting]), level)
    a, b = run_both(plain, replayed, losses)
    assert distance(a, b, memory=False) <= 2e-5 if "float32" in setting else distance(a, b) <= 1e-11
    programs = programs_of(replayed)
    assert any(programs) and programs.count(None) <= 1  # a first step, that begins to remember
    assert 2 in a.end and (level is None or 1 in a.end)


@pytest.mark.parametrize("name", [*RECORDED][::2])
def test_the_kernel_takes_the_steps_of_both_layers(name):
    """XOR with a trained second layer and a softmax, in mini-batches."""
    own = {"data": XOR_DATA, "network__loss": "softmax", "network__second_layer": "trained", "train__batch_size": 3}
    runs = [make_run(RULES[name], seed=s, network__activation="softplus", **own) for s in (0, 1)]
    plain, replayed, losses = pair(runs)
    a, b = run_both(plain, replayed, losses)
    assert distance(a, b) <= 1e-11 and len(a.w.leaves) == 4 and any(programs_of(replayed))


@pytest.mark.parametrize(("activation", "level"), [*zip(ACTIVATIONS, cycle([None, 0.6]))])
def test_other_activations(activation, level):
    changes = {"network__activation": activation, "network__bias": True, "data__flip_prob": 0.3}
    assert distance(*run_both(*pair(crowd(RULES["sam momentum, decay"], **changes), level))) <= 1e-11


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("second_layer", ["fixed", "trained"])
def test_other_losses(loss, second_layer):
    """Some runs reach the level, and others do not."""
    own = {"network__loss": loss, "network__second_layer": second_layer, "network__activation": "softplus"}
    runs = [make_run(RULES["sgd momentum"], seed=s, data=XOR_DATA, network__init_std=0.5, **own) for s in range(4)]
    start = GramEngine(build_engine(runs, DEVICE).problem)
    level = start.losses(start.initial()).mean(1).quantile(0.5).item()
    a, b = run_both(*pair(runs, level))
    assert distance(a, b) <= 1e-11 and {*a.end.tolist()} >= {1}


def three_classes(problem):
    """The same patches with labels of three classes."""
    return {
        "labels": (torch.arange(8, device=DEVICE) % 3).expand(len(problem.labels), 8).to(problem.labels),
        "head": torch.eye(3, device=DEVICE).repeat_interleave(2, 0).to(problem.head),
        "n_classes": 3,
    }


def test_one_patch_in_two_slots_of_a_sample():
    runs = [make_run(RULES["sam"], data=RepeatedPatch(), seed=seed) for seed in range(2)]
    assert distance(*run_both(*pair(runs))) <= 1e-11


@pytest.mark.parametrize("second_layer", ["fixed", "trained"])
def test_more_classes(second_layer):
    """Three outputs, which are padded to four."""
    rule, own = RULES["sam momentum, decay"], {"network__loss": "softmax", "network__second_layer": second_layer}
    assert distance(*run_both(*pair(crowd(rule, **own), 0.6, three_classes))) <= 1e-11


@pytest.mark.parametrize(("n_samples", "n_filters"), [(1, 1), (15, 8), (16, 9), (37, 3)])
def test_other_shapes(n_samples, n_filters):
    """Below, at and beyond the powers of two that matrices are padded to."""
    changes = {"data__n_samples": n_samples, "train__batch_size": n_samples, "network__n_filters": n_filters}
    assert distance(*run_both(*pair(crowd(RULES["sam"], **changes)))) <= 1e-11


@pytest.mark.parametrize("weight_decay", [3.5e100, 1e100])
def test_a_part_along_the_start_that_overflows(weight_decay):
    """Where it is the largest number, and where a step removes all of it."""
    rule = SGD(lr=1e-100, weight_decay=weight_decay)
    plain, replayed, losses = pair([make_run(rule, network__init_std=1e-6)])
    a, b = run_both(plain, replayed, losses, syncs=(0, 400))
    assert distance(a, b) <= 1e-11 and (2 in a.end) == (weight_decay > 2e100)


@pytest.mark.parametrize("bias", [False, True])
def test_an_output_that_overflows_is_its_own_sample_s(bias):
    """The loss of a sample with a large margin is zero, and patches of other samples do not enter."""
    changes = {"network__activation": "relu3", "network__init_std": 0.1, "network__bias": bias, "dtype": "float32"}
    runs = [make_run(SGD(lr=1e13), seed=seed, **changes) for seed in range(4)]
    a, b = run_both(*pair(runs, 0.1), syncs=(0, 5))
    assert a.end.tolist() == b.end.tolist() == [2, 2, 2, 1]


def test_synchronisations_and_neighbours_change_no_bit():
    runs = crowd(RULES["sam momentum, decay"], network__bias=True)
    _, replayed, losses = pair(runs)
    often, _ = run_both(replayed, replayed, losses, syncs=(0, 1, 5, 17))
    once, _ = run_both(replayed, replayed, losses, syncs=(0, 17))
    assert distance(often, once) == 0
    _, alone, own = pair(runs[2:3])
    a, _ = run_both(alone, alone, own, syncs=(0, 17))
    assert all(torch.equal(x[0], y[2]) for x, y in zip(a.w.leaves, once.w.leaves, strict=True))


@pytest.mark.parametrize("wrong", ["number", "operand"])
def test_a_wrong_tape_disagrees(wrong, monkeypatch):
    """Negative control: the comparison above must see a factor off by 1e-9, and a vector taken for another."""
    plain, replayed, losses = pair(crowd(RULES["sam momentum, decay"]))
    recorded = tapes.record_step(plain._rule, replayed.start(next(losses())), 0)
    program = recorded.program
    operations = program.operations.copy()
    add = int((operations[:, 0] == 2).nonzero()[0][-1])
    operations[add, 3] = operations[add, 2]
    changes = {"number": {"numbers": program.numbers * (1 + 1e-9)}, "operand": {"operations": operations}}
    false = recorded._replace(program=replace(program, **changes[wrong]))
    monkeypatch.setattr(tapes, "record_step", lambda *_: false)
    assert distance(*run_both(plain, replayed, losses)) > 1e-11


WRONG = {
    "second layer": lambda p: {"head": p.head * torch.where(torch.arange(6) == 2, -1, 1)[:, None].to(p.head)},
    "which patch a sample shows": lambda p: {"shown": p.shown.roll(1, 1)},
    "how often it shows a patch": lambda p: {"slots": tuple(replace(slot, times=2) for slot in p.slots)},
    "scale": lambda p: {"scale": p.scale * (1 + 1e-9)},
    "activation": lambda p: {"activation": ACTIVATIONS["cubic"]},
    "loss": lambda p: {"loss": LOSSES["polynomial"]},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_network_disagrees(wrong):
    """Negative control."""
    assert distance(*run_both(*pair(crowd(RULES["sgd"]), wrong=WRONG[wrong]))) > 1e-11


def unheard(loss):
    """The loss under an unknown name."""
    return LossFunction("unheard", loss.value_formula, loss.slope_formula, loss.second_formula, loss.twin_text)


def test_an_unknown_loss_is_refused_before_anything_is_compiled():
    with pytest.raises(ValueError, match=r"loss: expected one of logistic, .*; found unheard"):
        pair(crowd(RULES["sgd"]), wrong=lambda p: {"loss": unheard(p.loss)})


def test_the_kernel_refuses_an_unknown_loss():
    _, replayed, losses = pair(crowd(RULES["sgd"]))
    batches, problem = losses(), replayed._engine.problem
    state = replayed.start(next(batches))
    replayed._engine.problem = replace(problem, loss=unheard(problem.loss))
    with pytest.raises(Exception, match="no formula is compiled for this loss"):
        replayed.run(state, batches, 0, 2)


def test_large_networks_are_left_to_plain_torch():
    small, wide, large = (
        build_engine([make_run(data__n_samples=n, data__dim=4, network__n_filters=m)], DEVICE).problem
        for n, m in ((20, 10), (20, 200), (100, 10))
    )
    assert padded_shape(small) == (32, 32, 32, 1) and fits(small)
    assert not fits(wide) and not fits(large)
    assert not fits(replace(small, head=torch.ones(20, 129)))
    assert not fits(replace(small, activation=replace(small.activation, name="mine.py:Own")))  # in no kernel
    assert not fits(replace(small, loss=replace(small.loss, name="mine.py:Own")))
