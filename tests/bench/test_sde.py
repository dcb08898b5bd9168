"""SDE paths: the loops by hand take the steps of sde/, and every ratio of the section follows from its times."""

import numpy as np
import pytest
import torch

from featlearn.bench import Setting
from featlearn.bench import sde as section
from featlearn.bench.plain_sde import by_numpy, by_torchsde, torchsde_solver
from featlearn.bench.text import report_text
from featlearn.loop import MiniBatches
from featlearn.sde.draws import draw
from featlearn.sde.integrators import EulerMaruyama
from featlearn.simulation import build_engine

TINY = Setting(repeats=1, n_steps=1, paths=100)


@pytest.mark.parametrize("rule", ["usam", "sam"])
def test_an_increment_by_hand_is_that_of_the_system(rule):
    equation = section.equation_of(rule)
    run = section.path_of(equation, 1)
    engine = build_engine([run] * 4, "cpu")
    loss = next(MiniBatches.of(run.train, engine).losses(engine))
    system, dw, _ = next(draw(run.optimizer, loss, 0, EulerMaruyama()))
    w = engine.initial()
    ours = EulerMaruyama().step(system, w, 1 / section.SUBSTEPS, dw, None).leaves[0].numpy()
    start = w.leaves[0].numpy()
    by_hand = start + equation.increment(start, 1 / section.SUBSTEPS, dw.numpy())
    assert np.abs(ours - start).max() > 1e-2
    np.testing.assert_allclose(ours, by_hand, rtol=0, atol=1e-14)


@pytest.mark.parametrize("solver", [by_numpy, by_torchsde])
def test_paths_have_the_moments_of_the_linear_equation(solver):
    if solver is by_torchsde and torchsde_solver() is None:
        pytest.skip("torchsde is not installed")
    equation, n, steps, k = section.equation_of("usam"), 4000, 5, 4
    ends = solver(equation, np.ones((n, 2)), steps, k, 0)
    factor = 1 + equation.rho * equation.eigenvalues
    mean, variance = np.ones(2), np.zeros(2)
    for _ in range(steps * k):
        shrink = 1 - equation.lr * factor * equation.eigenvalues / k
        mean, variance = shrink * mean, shrink**2 * variance + (equation.lr * equation.noise * factor) ** 2 / k
    error = np.sqrt(variance / n)
    assert (np.abs(ends.mean(0) - mean) < 4 * error).all()
    assert (np.abs(ends.var(0) / variance - 1) < 4 * np.sqrt(2 / n)).all()


def test_torchsde_serves_usam_only():
    with pytest.raises(ValueError, match="needs torchsde, and the rule usam"):
        by_torchsde(section.equation_of("sam"), np.ones((2, 2)), 1, 1, 0)


def test_the_section_runs_without_torchsde_and_says_so(monkeypatch):
    monkeypatch.setattr(section, "torchsde_solver", lambda: None)
    rows = section.sde_paths(TINY)
    assert [row["problem"] for row in rows] == ["usam, 2 parameters", "sam, 2 parameters"] + [
        f"SAM, CNN, d = {dim}" for dim in ("1e+03", "1e+12")
    ]
    assert rows[0]["torchsde_over_ours"] == "not installed" and "torchsde_over_ours" not in rows[1]
    machine = {name: "-" for name in ("featlearn", "torch", "numpy", "numba", "python", "date", "processor", "cores")}
    report = {"machine": {**machine, "gpu": None, "load": 0.0}, "setting": {"device": "cpu"}, "sde": rows}
    assert "not installed" in report_text(report) and "torchsde / this" in report_text(report)
    assert rows[2]["over_first"] == {"median": 1.0, "min": 1.0, "max": 1.0}


def test_both_dimensions_of_the_cnn_are_one_problem():
    low, high = (section.cnn_path(dim, 1) for dim in section.DIMS)
    assert type(low.optimizer).__name__ == "Dynamics" and low.train == high.train
    assert high.data.dim / low.data.dim == 10**9 and torch.finfo(getattr(torch, low.dtype)).bits == 64
