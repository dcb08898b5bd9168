"""A function without a formula in an engine is refused by name everywhere; none is replaced by another."""

from dataclasses import replace
from typing import get_args, get_type_hints

import pytest
import torch
from helpers import engine_of, full_batches, loss_on, make_landscape_run, make_run, mini_batches, view_of

from featlearn.data import SignalNoise
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.functions.activations import ACTIVATIONS, Activation
from featlearn.functions.compiled import KINDS
from featlearn.loop import ReplayStepper
from featlearn.models import TwoLayerCNN
from featlearn.models.mlp import MLP
from featlearn.models.teacher_student import TeacherStudent
from featlearn.optim import SGD, ComponentSAM, RandomPerturbation
from featlearn.simulation import build_engine, simulate
from featlearn.trackers import TestError

UNHEARD = Activation("unheard", "z", "1", None, 1, "F.gelu(z)")
REFUSED = "activation unheard: the kernel.*|activation: expected one of relu, .*; found unheard"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def changed(problem):
    """The problem with an activation that is a function like any other, but is in no table of compiled loops."""
    return replace(problem, activation=UNHEARD)


def test_every_table_has_the_activations_of_the_config():
    assert {*get_args(get_type_hints(TwoLayerCNN)["activation"])} == {*KINDS} == {*ACTIVATIONS}


def test_a_name_without_a_formula_is_refused():
    with pytest.raises(ValueError, match=r"activation: expected one of relu, .*; found unheard"):
        engine_of(make_run(network__activation="unheard"))


def test_the_compiled_engine_refuses():
    with pytest.raises(ValueError, match=REFUSED):
        CPUGramEngine(changed(engine_of(make_run()).problem))


@pytest.mark.parametrize("of", ["curvature", "micro-batches"])
def test_what_the_compiled_engine_hands_its_problem_to_refuses(of):
    engine = engine_of(make_run())
    engine.problem = changed(engine.problem)
    w, loss = engine.initial(), loss_on(engine, full_batches(engine, 1)[0])
    with pytest.raises(ValueError, match=REFUSED):
        if of == "curvature":
            engine.curvature(w, loss.batch).top(1)
        else:
            shards = engine.shards(loss, 2)
            shards.loss.gradient(shards.split(w))


def test_the_compiled_tracker_refuses():
    view = view_of(make_run())
    with pytest.raises(ValueError, match=REFUSED):
        TestError()(replace(view, problem=changed(view.problem)))


def test_the_kernel_of_a_device_refuses():
    device = pytest.importorskip("featlearn.engines.gpu.engine", exc_type=ImportError)
    with pytest.raises(ValueError, match=REFUSED):
        device.GPUGramEngine(changed(engine_of(make_run()).problem))


def test_the_kernel_s_own_choice_ends_there():
    """After the engine's table: a name that is added to it alone does not compile."""
    device = pytest.importorskip("featlearn.engines.gpu.engine", exc_type=ImportError)
    run = make_run()
    engine = device.GPUGramEngine(build_engine([run], DEVICE).problem)
    losses = mini_batches(engine.labels, run).losses(engine)
    stepper = ReplayStepper(engine, run.optimizer, None)
    state = stepper.run(stepper.start(next(losses)), losses, 0, 2)
    engine.problem = changed(engine.problem)
    with pytest.raises(Exception, match="no formula is compiled for this activation"):
        stepper.run(state, losses, 2, 4)


WRONG = {
    "component of SAM": lambda: loss_of(ComponentSAM(rho=0.1, component="nois", base=SGD(lr=0.1))),
    "law of a perturbation": lambda: loss_of(RandomPerturbation(rho=0.1, law="cube", base=SGD(lr=0.1))),
    "loss of an MLP": lambda: MLP(loss="hinge").losses((torch.eye(2), torch.ones(2)), (torch.eye(2), torch.eye(2))),
    "activation of an MLP": lambda: MLP(activation="neg").outputs((torch.eye(2), torch.ones(2)) * 2, torch.eye(2)),
    "activation of a student": lambda: simulate(make_landscape_run(TeacherStudent(activation="abs"))),
    "filters": lambda: TwoLayerCNN(filters="average").scale(2),
    "patches": lambda: TwoLayerCNN(patches="average").scale(2),
    "init": lambda: TwoLayerCNN(init="normal").draw_weights(0, SignalNoise(dim=4)),
    "noise": lambda: SignalNoise(signal_norm=1.0, noise="common").frame,
    "samples of a view": lambda: view_of(make_run()).loss("epoch"),
    "engine": lambda: make_run(engine="grams"),
    "sampling": lambda: make_run(sampling="law"),
    "dtype": lambda: make_run(dtype="float16"),
}


def loss_of(rule):
    """Take a step of the rule."""
    engine = engine_of(make_run(rule, train__batch_size=4))
    w = engine.initial()
    return rule.step(loss_on(engine, torch.eye(8).double()[:1]), w, rule.init(w), 0)


@pytest.mark.parametrize("where", WRONG)
def test_no_choice_takes_an_unknown_word_for_its_last(where):
    with pytest.raises((AssertionError, KeyError, ValueError)):
        WRONG[where]()


def test_explicit_weights_need_explicit_vectors():
    with pytest.raises(ValueError, match="sampling: gram draws no vectors, and the engine weights needs them"):
        make_run(engine="weights", sampling="gram")
