"""Shares of activations that survive at the perturbed point, by explicit loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import PlainNetwork, advance, drawn_batches, engine_of, explicit, make_run, view_after, view_of
from leaky import Leaky
from three_classes import ThreeClasses

from featlearn.geometry import draw_run
from featlearn.optim import SAM, SGD
from featlearn.trackers import Deactivation

SETTINGS = {
    "plain": {},
    "flips": {"data__flip_prob": 0.3},
    "P = 4": {"data__n_patches": 4},
    "independent, bias": {"data__n_patches": 4, "data__noise": "independent", "network__bias": True},
    "one sample a batch": {"train__batch_size": 1},
}


def by_hand(run, steps):
    """The two columns, counted filter by filter and sample by sample, and those of the tracker."""
    plain, engine = PlainNetwork(run), engine_of(run)
    batches, samples = drawn_batches(run, steps + 1)
    w, _ = advance(engine, run.optimizer, batches[:steps])
    here, chosen = explicit(w, plain), samples[steps]
    g = plain.gradient(here, chosen)
    there = here + run.optimizer.rho * g / max(np.linalg.norm(g), 1e-300)
    off = on_noise = kept = on_signal = 0
    is_signal = [slot.role == "signal" for slot in run.data.slots for _ in range(slot.times)]
    for i in chosen:
        for row, j in enumerate(plain.signs):
            if j != plain.labels[i]:
                continue
            for p, patch in enumerate(plain.patches[i]):
                if here[row] @ patch <= 0:
                    continue
                if is_signal[p]:
                    on_signal += 1
                    kept += there[row] @ patch > 0
                else:
                    on_noise += 1
                    off += there[row] @ patch <= 0
    view = view_after(engine, run.optimizer, batches)
    columns = {name: column.item() for name, column in Deactivation()(view).items()}
    return columns, (off, on_noise, kept, on_signal)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("rho", [0.05, 0.3])
def test_shares_by_hand(setting, rho):
    partial = 0
    for seed in range(6):
        changes = {"train__batch_size": 5, **SETTINGS[setting]}
        run = make_run(SAM(rho=rho, base=SGD(lr=0.1)), seed=seed, **changes)
        for steps in (0, 3):
            columns, (off, on_noise, kept, on_signal) = by_hand(run, steps)
            assert columns["noise_deactivated"] == pytest.approx(off / on_noise if on_noise else 0.0, rel=1e-15)
            assert columns["signal_kept"] == pytest.approx(kept / on_signal if on_signal else 1.0, rel=1e-15)
            partial += 0 < off < on_noise
    assert partial > 0 or setting == "one sample a batch"


def test_a_rule_without_perturbation_deactivates_nothing():
    for rule in (SGD(lr=0.1), SAM(rho=0.3, stop=2, base=SGD(lr=0.1)), SAM(rho=0.0, base=SGD(lr=0.1))):
        columns = Deactivation()(view_of(make_run(rule), steps=3))
        assert columns["noise_deactivated"].item() == 0 and columns["signal_kept"].item() == 1


def test_a_large_radius_switches_everything_off():
    columns = Deactivation()(view_of(make_run(SAM(rho=100.0, base=SGD(lr=0.1))), steps=0))
    assert columns["noise_deactivated"].item() == 1 and columns["signal_kept"].item() == 0


@pytest.mark.parametrize("changes", [{"network__init_std": 0.0, "data__signal_norm": 0.0}, {"network__init_std": 0.0}])
def test_where_nothing_is_on_nothing_is_lost(changes):
    columns = Deactivation()(view_of(make_run(SAM(rho=0.1, base=SGD(lr=0.1)), **changes)))
    assert columns["noise_deactivated"].item() == 0 and columns["signal_kept"].item() == 1


def test_an_activation_at_zero_is_off():
    view = view_of(make_run())
    zero = torch.zeros_like(view.align)
    columns = Deactivation()(replace(view, perturbed_align=zero))
    assert columns["noise_deactivated"].item() == 1 and columns["signal_kept"].item() == 0


@pytest.mark.parametrize("rho", [0.05, 0.3])
def test_classes_and_several_signals_by_hand(rho):
    """Over the filters of each sample's class, on whichever signal it shows."""
    data = ThreeClasses(n_samples=9, dim=60, signal_norm=2.0, n_patches=3, noise="independent")
    run = make_run(SAM(rho=rho, base=SGD(lr=0.1)), data=data, network__loss="softmax", engine="weights")
    view, draw = view_of(run, steps=3), draw_run(run.data, run.network, run.seed, keep=True)
    here, there = (w.leaves[0][0] @ draw.patches[0].T > 0 for w in (view.w, view.probe))
    counts = {"noise": [0, 0], "signal": [0, 0]}
    for i, label in enumerate(draw.training.labels[0].int().tolist()):
        for slot, patch in zip(data.slots, draw.training.shown[0, i].tolist(), strict=True):
            for row in range(3 * label, 3 * label + 3):
                counts[slot.role][0] += bool(here[row, patch])
                counts[slot.role][1] += bool(here[row, patch] and there[row, patch])
    (noise, noise_kept), (signal, signal_kept) = counts["noise"], counts["signal"]
    columns = Deactivation()(view)
    assert columns["noise_deactivated"].item() == pytest.approx(1 - noise_kept / noise, rel=1e-14)
    assert columns["signal_kept"].item() == pytest.approx(signal_kept / signal, rel=1e-14)
    assert 0 < noise_kept < noise and signal > 0


def test_a_patch_of_signal_and_noise_counts_as_neither():
    columns = Deactivation()(view_of(make_run(SAM(rho=100.0, base=SGD(lr=0.1)), data=Leaky(n_samples=8, dim=60))))
    assert columns["noise_deactivated"].item() == 0 and columns["signal_kept"].item() == 1
