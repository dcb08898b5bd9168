"""An exported run is complete: it is retrained here without featlearn."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import RULES, make_run, with_steps
from three_classes import ThreeClasses

from featlearn.data import XOR
from featlearn.export import export
from featlearn.optim import MSAM, SGD
from featlearn.simulation import simulate

SLOPES = {  # of the loss of outputs F [n, C] and labels y [n], or their one-hot rows [n, C]
    "logistic": lambda f, y: -y[:, None] / (1 + np.exp(y[:, None] * f)),
    "square": lambda f, y: 2 * (f - y[:, None]),
    "softmax": lambda f, y: np.exp(f) / np.exp(f).sum(1, keepdims=True) - np.eye(f.shape[1])[y.astype(int)],
}


def retrain(arrays, *, lr, rho, momentum=0.0, scale=1 / 3, n_shards=1, loss="logistic", trained=False):
    """Plain numpy, from the definition of the network with ReLUs, of SAM and of mSAM; returns the final parameters."""
    x, y, groups = arrays["patches"], arrays["labels"], len(arrays["init_weights"])
    head = np.eye(groups) if loss == "softmax" else np.array([[1.0], [-1.0]])
    w = {name: arrays.get(f"init_{name}", np.zeros(0)) for name in ("weights", "biases", "second")}
    w["biases"] = w["biases"] if w["biases"].size else np.zeros(w["weights"].shape[:2])
    w["second"] = w["second"] if trained else np.repeat(head[:, None], w["weights"].shape[1], 1)
    frozen = {name for name, given in (("biases", "init_biases" in arrays), ("second", trained)) if not given}

    def gradient(w, batch):
        z = np.einsum("npd,jmd->npjm", x[batch], w["weights"]) + w["biases"]
        f = scale * np.einsum("npjm,jmc->nc", np.maximum(z, 0), w["second"])
        slope = scale * SLOPES[loss](f, y[batch]) / len(batch)
        back = np.einsum("nc,jmc->njm", slope, w["second"])[:, None] * (z > 0)
        g = {"weights": np.einsum("npjm,npd->jmd", back, x[batch]), "biases": back.sum((0, 1))}
        g["second"] = np.einsum("npjm,nc->jmc", np.maximum(z, 0), slope)
        return {name: 0 * part if name in frozen else part for name, part in g.items()}

    def descent(w, batch):
        g = gradient(w, batch)
        norm = np.sqrt(sum((part**2).sum() for part in g.values()))
        length = rho / norm if norm else 0.0  # no filter sees the batch
        return gradient({name: w[name] + length * part for name, part in g.items()}, batch)

    velocity = {name: 0 * part for name, part in w.items()}
    for row in arrays["batches"]:
        parts = [descent(w, shard) for shard in np.split(row[row >= 0], n_shards)]
        velocity = {name: momentum * v + sum(g[name] for g in parts) / n_shards for name, v in velocity.items()}
        w = {name: part - lr * velocity[name] for name, part in w.items()}
    return w


def apart(arrays, w):
    """Largest distance between the exported final parameters and others."""
    names = [name for name in w if f"final_{name}" in arrays]
    return max(np.abs(w[name] - arrays[f"final_{name}"]).max() for name in names)


@pytest.mark.parametrize("rule, numbers", [("sgd momentum", (0.05, 0.0, 0.9)), ("sam", (0.1, 0.1, 0.0))])
def test_a_stranger_reproduces_the_final_weights(tmp_path, rule, numbers):
    run = make_run(RULES[rule], data__n_patches=3, data__flip_prob=0.2, network__bias=True)
    export(with_steps(run, 40, batch_size=3), tmp_path / "run.npz")
    arrays = np.load(tmp_path / "run.npz")
    lr, rho, momentum = numbers
    assert apart(arrays, retrain(arrays, lr=lr, rho=rho, momentum=momentum)) < 1e-12
    assert np.abs(arrays["final_weights"] - arrays["init_weights"]).max() > 1e-2


XOR_DATA = XOR(n_samples=8, dim=60, signal_norm=3.0, angle=70.0, n_patches=4, noise="independent", flip_prob=0.2)
CASES = {
    "xor": {"data": XOR_DATA},
    "xor, square loss": {"data": XOR_DATA, "network__loss": "square"},
    "second layer": {"network__second_layer": "trained", "network__bias": True},
    "two classes, softmax": {"network__loss": "softmax", "network__second_layer": "trained"},
    "three classes": {
        "data": ThreeClasses(n_samples=9, dim=60, signal_norm=2.0, flip_prob=0.2),
        "network__loss": "softmax",
        "network__bias": True,
    },
}


@pytest.mark.parametrize("engine", ["weights", "gram"])
@pytest.mark.parametrize("case", CASES)
def test_every_model_loss_and_second_layer(tmp_path, case, engine):
    changes = CASES[case]
    run = with_steps(make_run(RULES["sam"], **changes), 20, batch_size=3)
    arrays = export(run, tmp_path / "run.npz", engine=engine)
    loss, trained = changes.get("network__loss", "logistic"), "network__second_layer" in changes
    labels = arrays["labels"] if case != "two classes, softmax" else (1 - arrays["labels"]) / 2
    wrong = labels[::-1] if loss == "softmax" else -labels
    for y, agree in ((labels, True), (wrong, False)):
        w = retrain({**arrays, "labels": y}, lr=0.1, rho=0.1, loss=loss, trained=trained)
        assert (apart(arrays, w) < 1e-12) == agree
    assert ("final_second" in arrays) == trained
    if engine == "gram":
        spanned = arrays["coef"] @ arrays["distinct_patches"]
        weights = arrays["alpha"] * arrays["init_weights"] + spanned.reshape(arrays["init_weights"].shape)
        assert np.abs(weights - arrays["final_weights"]).max() < 1e-13
        if run.network.bias:
            biases = arrays["alpha"] * arrays["init_biases"].ravel() + arrays["coef"].sum(1)
            assert np.abs(biases - arrays["final_biases"].ravel()).max() < 1e-13


@pytest.mark.parametrize("sampling", ["epochs", "without_replacement", "with_replacement"])
@pytest.mark.parametrize("batch_size", [12, 6], ids=["full", "half"])
def test_a_stranger_cuts_the_batches_as_msam_does(tmp_path, batch_size, sampling):
    rule = MSAM(rho=0.2, n_shards=3, base=RULES["sgd"])
    settings = {"data__n_samples": 12, "data__flip_prob": 0.2, "network__bias": True}
    run = make_run(rule, **settings, train__batch_sampling=sampling)
    arrays = export(with_steps(run, 20, batch_size=batch_size), tmp_path / "run.npz")
    for batches, agree in ((arrays["batches"], True), (np.sort(arrays["batches"]), False)):
        w = retrain({**arrays, "batches": batches}, lr=0.1, rho=0.2, n_shards=3)
        assert (apart(arrays, w) < 1e-12) == agree


def test_batches_are_those_of_the_steps_that_were_taken(tmp_path):
    run = make_run(RULES["sam"], data__flip_prob=0.2, network__bias=True, train__stop_at_train_loss=0.5)
    arrays = export(with_steps(run, 80, batch_size=3), tmp_path / "run.npz")
    assert 0 < len(arrays["batches"]) == arrays["steps"][-1] < 80
    assert apart(arrays, retrain(arrays, lr=0.1, rho=0.1)) < 1e-12


def test_a_run_that_diverges_leaves_the_batches_until_then(tmp_path):
    run = with_steps(make_run(SGD(lr=5.0), network__activation="relu3", network__loss="square"), 20)
    stopped = simulate(replace(run, engine="weights"))
    assert stopped.status == "diverged"
    assert len(export(run, tmp_path / "run.npz")["batches"]) == stopped.stopped_step


def test_shapes_and_names_are_those_of_the_contract(tmp_path):
    arrays = export(with_steps(make_run(), 10, batch_size=3), tmp_path / "run.npz")
    shapes = {name: value.shape for name, value in arrays.items()}
    assert shapes["patches"] == (8, 2, 60)
    assert shapes["init_weights"] == shapes["final_weights"] == (2, 3, 60)
    assert (shapes["batches"], shapes["signal_coef"], shapes["noise_coef"]) == ((10, 3), (2, 3), (2, 3, 8))
    assert {"labels", "true_labels", "signal", "noise", "steps", "train_loss", "test_error"} <= set(arrays)
    assert json.loads(str(arrays["config"]))["data.dim"] == 60


def test_signal_patches_carry_the_true_label(tmp_path):
    arrays = export(make_run(data__flip_prob=0.4), tmp_path / "run.npz")
    on_signal = arrays["patches"] @ arrays["signal"] / (arrays["signal"] @ arrays["signal"])
    assert np.array_equal(np.isclose(np.abs(on_signal), 1).any(1), np.ones(8, bool))
    carried = np.sign(np.take_along_axis(on_signal, np.abs(np.abs(on_signal) - 1).argmin(1)[:, None], 1))[:, 0]
    assert np.array_equal(carried, arrays["true_labels"])


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("run.txt", {}, "an .npz file, not '.txt'"),
        ("missing/run.npz", {}, "there is no folder"),
        ("run.npz", {"data__dim": 10**12}, "GiB; at most 8 GiB"),
        ("run.npz", {"data__dim": 8}, "not unique in dimension 8"),
    ],
)
def test_an_invalid_export_is_refused_before_anything_is_drawn(tmp_path, name, changes, message):
    with pytest.raises(ValueError, match=message):
        export(make_run(**changes), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_export_replaces_an_earlier_export_and_nothing_else(tmp_path):
    run, path = make_run(), tmp_path / "run.npz"
    export(run, path)
    export(run, path)
    np.savez(path, mine=np.zeros(3))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="exists, and is no export of featlearn"):
        export(run, path)
    assert path.read_bytes() == before
    assert "patches" in export(run, path, force=True)
