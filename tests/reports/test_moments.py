"""The moments at which runs are read."""

from featlearn.reports.moments import moments, phase_ends


def test_the_last_step_and_one_train_loss(source, plan):
    last, loss = moments(plan, source.rows(), ["train_loss", "test_error"])
    assert (last.key, last.label) == ("last", "at the last step, 20")
    assert (loss.key, loss.label) == ("loss", "where the train loss first reaches 0.01")
    assert loss.runs["train_loss"].eq(0.01).all() and "optimizer.name" in loss.runs


def test_the_end_of_a_phase(source, plan):
    stopped = plan.runs.assign(
        **{"optimizer.stop": plan.runs["optimizer.rho"].map(lambda rho: 10.0 if rho > 0 else None)}
    )
    ending = type(plan)(plan.axes, plan.optimizers, stopped)
    assert phase_ends(ending) == {10: ["SAM"]} and phase_ends(plan) == {}
    step = moments(ending, source.rows(), ["test_error"])[1]
    assert step.label == "at step 10, where SAM ends" and step.runs["step"].eq(10).all()
    assert len(phase_ends(type(plan)(plan.axes, plan.optimizers, stopped.assign(**{"train.n_steps": 10})))) == 0
