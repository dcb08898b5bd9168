"""Two gloo processes under DistributedDataParallel against one process that computes what they should."""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch
from optim.torch.ddp_worker import CASES, OPTIONS, STEPS, share
from training import apart, batches, loss_of, network, same, weights

from featlearn.optim.torch import RULES


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """The final weights of both workers, by case."""
    folder, here = tmp_path_factory.mktemp("ddp"), Path(__file__).parent
    path = os.pathsep.join([str(here.parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(here / "ddp_worker.py")]
    workers = [
        subprocess.Popen([*command, str(rank), str(folder / "meeting"), str(folder)], env=environment, stderr=-1)
        for rank in range(2)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors.decode()
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def gradient(model, at, batch):
    """The gradient of the loss at some weights."""
    with torch.no_grad():
        for p, value in zip(model.parameters(), at, strict=True):
            p.copy_(value)
    return torch.autograd.grad(loss_of(model, batch), list(model.parameters()))


def m_sam_by_hand(normalised):
    """Each half of the batch is perturbed along, and evaluated at, its own gradient; the gradients are averaged."""
    model = network()
    w, v = weights(model), [torch.zeros_like(p) for p in model.parameters()]
    for batch in islice(batches(), STEPS):
        found = []
        for half in (share(batch, 0), share(batch, 1)):
            g = gradient(model, w, half)
            length = sum((part * part).sum() for part in g).sqrt() if normalised else 1.0
            found.append(gradient(model, [p + 0.3 * part / length for p, part in zip(w, g, strict=True)], half))
        v = [0.9 * old + (a + b) / 2 for old, a, b in zip(v, *found, strict=True)]
        w = [p - 0.1 * part for p, part in zip(w, v, strict=True)]
    return w


def alone(rule, numbers):
    """One process on the whole batch."""
    model = network()
    optimizer = RULES[rule](model.parameters(), torch.optim.SGD, **numbers, **OPTIONS)
    for batch in islice(batches(), STEPS):
        optimizer.step(lambda batch=batch: loss_of(model, batch).backward())
    return weights(model)


@pytest.mark.parametrize("name", CASES)
def test_workers_stay_together(ends, name):
    assert same(ends[0][name], ends[1][name])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2]])
def test_synchronised_it_is_the_rule_on_the_joined_batch(ends, name):
    assert apart(ends[0][name], alone(*CASES[name][:2])) < 1e-12


@pytest.mark.parametrize(("name", "normalised"), [("m-sam", True), ("m-usam", False)])
def test_unsynchronised_every_worker_perturbs_for_itself(ends, name, normalised):
    by_hand = m_sam_by_hand(normalised)
    assert apart(ends[0][name], by_hand) < 1e-12
    assert apart(by_hand, alone(*CASES[name][:2])) > 1e-4
