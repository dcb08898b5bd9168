"""Two gloo processes, under DistributedDataParallel or with half of the parameters each, against one process."""

import os
import pickle
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch
from optim.torch.ddp_worker import shares
from torch_rules import ONE_OF_EACH, TWO_STEP, own_numbers
from training import apart, batches, loss_of, network, same, train, weights

from featlearn.optim import SAM, SGD, USAM
from featlearn.optim.torch import RULES

STEPS = 6
BASE = {"lr": 0.1, "momentum": 0.9}


def case(rule, style, kind="copies"):
    options = {**own_numbers(rule), **BASE}
    return {
        "rule": type(rule).__name__,
        "options": options,
        "style": style,
        "steps": STEPS,
        "kind": kind,
    }


SHARDED = {  # the network has an odd number of rows
    **{f"{name}, fully sharded": case(rule, "closure", "fully sharded") for name, rule in ONE_OF_EACH.items()},
    **{
        f"{name}, fully sharded, two steps": case(TWO_STEP[name], "two steps", "fully sharded")
        for name in ("usam", "gsam")
    },
    **{f"{name}, cut": case(ONE_OF_EACH[name], "closure", "cut") for name in ("usam", "asam", "random_perturbation")},
}
JOINED = {
    **SHARDED,
    **{name: case(rule, "closure") for name, rule in ONE_OF_EACH.items()},
    **{f"{name}, two steps": case(TWO_STEP[name], "two steps") for name in ("usam", "gsam")},
    "bucket views": case(TWO_STEP["usam"], "two steps", kind="bucket views"),
    "bucket views, closure": case(ONE_OF_EACH["sampa momentum, decay"], "closure", kind="bucket views"),
}
APART = {
    "m-sam": case(SAM(rho=0.3, base=SGD(lr=0.1)), "unsynchronised"),
    "m-usam": case(USAM(rho=0.3, base=SGD(lr=0.1)), "unsynchronised"),
}


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """The final weights of both workers, by case."""
    folder, here = tmp_path_factory.mktemp("ddp"), Path(__file__).parent
    (folder / "cases.pickle").write_bytes(pickle.dumps({**JOINED, **APART}))
    path = os.pathsep.join([str(here.parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(here / "ddp_worker.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def gradient(model, at, batch):
    """The gradient of the loss at some weights."""
    with torch.no_grad():
        for p, value in zip(model.parameters(), at, strict=True):
            p.copy_(value)
    return torch.autograd.grad(loss_of(model, batch), list(model.parameters()))


def m_sam_by_hand(rho, normalised):
    """Each half of the batch is perturbed along, and evaluated at, its own gradient; the gradients are averaged."""
    model = network()
    w, v = weights(model), [torch.zeros_like(p) for p in model.parameters()]
    for batch in islice(batches(), STEPS):
        found = []
        for half in (shares(0)(batch), shares(1)(batch)):
            g = gradient(model, w, half)
            length = sum((part * part).sum() for part in g).sqrt() if normalised else 1.0
            found.append(gradient(model, [p + rho * part / length for p, part in zip(w, g, strict=True)], half))
        v = [0.9 * old + (a + b) / 2 for old, a, b in zip(v, *found, strict=True)]
        w = [p - 0.1 * part for p, part in zip(w, v, strict=True)]
    return w


def alone(case):
    """One process on the whole batch."""
    model = network()
    train(model, RULES[case["rule"]](model.parameters(), torch.optim.SGD, **case["options"]), STEPS)
    return weights(model)


@pytest.mark.parametrize("name", [*JOINED, *APART])
def test_workers_stay_together(ends, name):
    assert same(ends[0][name], ends[1][name])


@pytest.mark.parametrize("name", JOINED)
def test_synchronised_it_is_the_rule_on_the_joined_batch(ends, name):
    assert apart(ends[0][name], alone(JOINED[name])) < 1e-12 < 1e-2 < apart(ends[0][name], weights(network()))


@pytest.mark.parametrize(("name", "normalised"), [("m-sam", True), ("m-usam", False)])
def test_unsynchronised_workers_perturb_separately(ends, name, normalised):
    by_hand = m_sam_by_hand(0.3, normalised)
    assert apart(ends[0][name], by_hand) < 1e-12
    assert apart(by_hand, alone(APART[name])) > 1e-4


def test_the_older_class_is_refused(ends):
    for end in ends:
        assert "use torch.distributed.fsdp.fully_shard" in end["the older class"]
