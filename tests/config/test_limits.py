"""Flows and SDEs in a config: keys, refusals, identities, sweeps and columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import featlearn as fl
from featlearn.cli import app
from featlearn.config import ConfigWarning, SweepConfig, schema
from featlearn.sde import Dynamics

Load = Callable[..., SweepConfig]
Problems = Callable[..., list[str]]
Write = Callable[..., Path]

NOISY = """
network: {model: quadratic, spectrum: [2, 1], start: [1, 1]}
optimizer: {name: usam, lr: 0.1, rho: 0.1, dynamics: sde}
train: {n_steps: 4, gradient_noise: 0.3}
record: {every: 2, trackers: [loss]}
"""
CNN = """
data: {n_samples: 20, dim: 1000, signal_norm: 5.0}
network: {n_filters: 10, init_std: 0.001}
optimizer: {name: sam, lr: 0.01, rho: 0.03, dynamics: sde}
train: {n_steps: 100, batch_size: 5, batch_sampling: without_replacement}
"""


def test_ids_of_rules_are_those_of_earlier_versions(load: Load) -> None:
    """Computed before a rule had dynamics."""
    earlier = NOISY.replace(", dynamics: sde", "").replace(", gradient_noise: 0.3", "").replace(", start: [1, 1]", "")
    assert load().base_run().run_id == "97f773eb0f66961d"
    assert load(base=earlier).base_run().run_id == "28ac316f75849f12"
    explicit = load(set=["optimizer.dynamics=rule"]).base_run()
    assert explicit.run_id == load().base_run().run_id and not isinstance(explicit.optimizer, Dynamics)


def test_every_key_of_a_limit_is_part_of_its_id(load: Load) -> None:
    changes = ["dynamics=flow", "substeps=4", "integrator=rk4", "expansion=exact", "covariance=truncated", "sets=3"]
    changes += ["dynamics=rule", "rho=0.2", "lr=0.2", "name=n_usam"]
    ids = [load(base=NOISY).base_run().run_id]
    ids += [load(base=NOISY, set=[f"optimizer.{change}"]).base_run().run_id for change in changes]
    assert len(set(ids)) == len(ids)
    given = load(base=NOISY, set=["optimizer.substeps=8", "optimizer.sets=2"]).base_run()
    assert given.run_id == ids[0]


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (
            CNN,
            ["optimizer.name=adam"],
            "optimizer.dynamics: Adam has no dynamics but rule here; there is a limit of sgd",
        ),
        (CNN, ["optimizer.momentum=0.9"], "optimizer.dynamics: a base with momentum has no dynamics but rule here"),
        (CNN, ["optimizer.dynamics=ode"], "optimizer.dynamics: expected one of rule, flow, sde"),
        (CNN, ["optimizer.substeps=0"], "optimizer.substeps: expected "),
        (CNN, ["optimizer.sets=1"], "optimizer.sets: expected "),
        (CNN, ["optimizer.integrator=milstein"], "optimizer.integrator: expected one of euler_maruyama, rk4, strang, "),
        (CNN, ["optimizer.expansion=second"], "optimizer.expansion: second needs third derivatives of the loss"),
        (CNN, ["optimizer.expansion=second", "network.activation=relu3"], "optimizer.expansion: second needs third"),
        (
            CNN,
            ["optimizer.expansion=second", "network.activation=softplus", "data.dim=1000000000"],
            "optimizer.expansion: second computes third derivatives on explicit weights only, at a cost that grows "
            "with data.dim, here 447 GiB of weights and data: use exact, or engine: weights",
        ),
        (CNN, ["optimizer.integrator=platen"], "optimizer.integrator: platen needs exact coefficients; over mini-bat"),
        (CNN, ["optimizer.covariance=truncated"], "optimizer.covariance: truncated is for the perturbed gradients of"),
        (NOISY, ["optimizer.name=sgd", "optimizer.covariance=truncated"], "optimizer.covariance: truncated is for the"),
    ],
)
def test_what_cannot_be_computed_is_refused_when_the_config_is_read(
    problems: Problems, base: str, changes: list[str], message: str
) -> None:
    if "optimizer.name=sgd" in changes:
        base = base.replace("rho: 0.1, ", "")
    if "optimizer.name=adam" in changes:
        base = base.replace("rho: 0.03, ", "")
    assert any(message in line for line in problems(base=base, set=changes)), problems(base=base, set=changes)


def test_what_is_probably_not_intended_is_warned_of(load: Load) -> None:
    with pytest.warns(ConfigWarning, match=r"optimizer\.dynamics: sde on the full batch without gradient noise"):
        load(base=NOISY, set=["train.gradient_noise=0"])
    with pytest.warns(ConfigWarning, match=r"optimizer\.dynamics: the SDE is that of independent mini-batches"):
        load(base=CNN, set=["train.batch_sampling=epochs"])
    at_rest = NOISY.replace("start: [1, 1]", "init_std: 0")
    with pytest.warns(ConfigWarning, match=r"optimizer\.dynamics: DNSAM starts at a critical point"):
        load(base=at_rest, set=["optimizer.name=dnsam"])
    with pytest.warns(ConfigWarning, match=r"optimizer\.dynamics: the SDE of DNSAM is inaccurate .* few dimensions"):
        load(base=NOISY, set=["optimizer.name=dnsam"])


AT_REST = [
    ("quadratic", "start: [0, 0], spectrum: [2, 1]"),
    ("beale", "x: 0, y: 1"),  # the saddle
    ("valley", "x: 0"),
    ("bump", "x: 3.141592653589793"),
]


@pytest.mark.parametrize("dynamics", ["flow", "sde"])
@pytest.mark.parametrize(("model", "start"), AT_REST)
def test_a_start_of_dnsam_at_a_critical_point_is_warned_of(load: Load, model: str, start: str, dynamics: str) -> None:
    base = re.sub("network: .*", f"network: {{model: {model}, {start}}}", NOISY).replace("usam", "dnsam")
    with pytest.warns(ConfigWarning, match=r"optimizer\.dynamics: DNSAM starts at a critical point"):
        load(base=base, set=[f"optimizer.dynamics={dynamics}"])
    load(base=base, set=["optimizer.dynamics=rule"])  # without a word
    load(base=base.replace("dnsam", "usam"))


def test_the_third_derivative_needs_the_weights(load: Load) -> None:
    smooth = ["network.activation=softplus"]
    assert load(base=CNN, set=smooth).base_run().engine == "gram"
    second = [*smooth, "optimizer.expansion=second"]
    with pytest.warns(ConfigWarning, match=r"optimizer\.expansion: second computes third .* explicit weights only"):
        assert load(base=CNN, set=second).base_run().engine == "weights"
    assert load(base=CNN, set=[*second, "engine=weights"]).base_run().engine == "weights"  # without a word
    assert load(base=CNN, set=[*second, "optimizer.base=signsgd"]).base_run().engine == "weights"  # needs them anyway
    assert load(base=CNN, set=["optimizer.base=signsgd"]).base_run().engine == "weights"


def test_dynamics_are_an_axis_of_a_sweep(write: Write, tmp_path: Path) -> None:
    """Beside the rule of the same seed, from the same point; the columns say which is which."""
    config = fl.load_config(write(NOISY + "sweep: {optimizer.dynamics: [rule, flow, sde], seed: [0, 1]}"))
    report = fl.sweep(config, tmp_path / "store", device="cpu", progress=False)
    assert (report.total, report.failed) == (6, 0)
    table = fl.load(tmp_path / "store")
    assert set(table["optimizer.dynamics"]) == {"rule", "flow", "sde"} and set(table["optimizer.name"]) == {"usam"}
    first, last = table[table["step"] == 0], table[table["step"] == 4]
    assert first["train_loss"].nunique() == 1
    ends = last.groupby("optimizer.dynamics")["train_loss"].nunique()
    assert ends.to_dict() == {"rule": 2, "flow": 1, "sde": 2}
    of_limits = table[table["optimizer.dynamics"] != "rule"]
    assert set(of_limits["optimizer.substeps"]) == {8} and set(of_limits["optimizer.integrator"]) == {"euler_maruyama"}


def test_projected_covariances_are_a_column(load: Load) -> None:
    config = load(base=NOISY, set=["optimizer.covariance=truncated", "network.spectrum=[2, -6]"])
    frame = fl.simulate(config).to_frame()
    assert frame["projected_covariances"].tolist() == [0.0, 16.0, 32.0]
    assert set(frame["optimizer.covariance"]) == {"truncated"} and np.isfinite(frame["train_loss"]).all()


OWN = '''
from dataclasses import dataclass
from featlearn.types import Positive


@dataclass(frozen=True, kw_only=True)
class Pull:
    """dX = -theta X dt + dW.

    lr: time of a step.
    theta: rate of the pull.
    """

    lr: Positive
    theta: Positive = 1.0

    def drift(self, loss, w, t):
        return -self.theta * w

    def diffusion(self, loss, w, z, t):
        return z
'''


def test_an_own_drift_and_diffusion_are_named_like_a_rule(write: Write, load: Load, problems: Problems) -> None:
    write(OWN, "pull.py")
    own = NOISY.replace("name: usam, lr: 0.1, rho: 0.1", "name: 'pull.py:Pull', lr: 0.1, theta: 2")
    run = load(base=own).base_run()
    assert run.engine == "weights" and fl.simulate(run, device="cpu").status == "ok"
    assert {source.name for source in run.sources} == {"pull.py:Pull"}
    columns = run.columns()
    assert columns["optimizer.name"] == "pull.py:Pull" and columns["optimizer.theta"] == 2.0
    other = load(base=own, set=["optimizer.theta=3"]).base_run()
    write(OWN.replace("return z", "return 2.0 * z"), "stronger.py")
    changed = load(base=own.replace("pull.py", "stronger.py")).base_run()
    assert len({run.run_id, other.run_id, changed.run_id}) == 3
    (line,) = problems(base=own.replace(", dynamics: sde", ""))
    assert "Pull has a drift and no step: set dynamics to sde or flow" in line
    write(OWN.replace("diffusion", "spread"), "half.py")
    (line,) = problems(base=own.replace("pull.py", "half.py"))
    assert "half.py:Pull cannot be used here: it lacks the method diffusion" in line
    write(OWN.replace("lr", "step_time"), "timeless.py")
    (line,) = problems(base=own.replace("pull.py", "timeless.py").replace("lr: 0.1", "step_time: 0.1"))
    assert "Pull needs a parameter lr for its dynamics: a step takes the time lr" in line


def test_the_keys_are_listed_and_in_the_schema() -> None:
    listed = CliRunner().invoke(app, ["list", "config", "optimizer.dynamics"])
    assert listed.exit_code == 0 and "rule" in listed.output and "sde" in listed.output, listed.output
    text = str(schema())
    assert all(key in text for key in ("substeps", "integrator", "euler_maruyama", "expansion", "covariance", "sets"))
