"""The one loop: a block of runs of equal shape is trained in one batch, and watched on the way.

The device is not waited for between looks: whether a run has fitted or diverged is kept there, and the host only looks
at it when something is recorded, when the rule changes, and now and then.
"""

from __future__ import annotations

from collections.abc import Iterator

from featlearn.engines.protocol import Engine, Loss, Rule, Vector
from featlearn.engines.span.engine import GramEngine
from featlearn.loop.batches import MiniBatches
from featlearn.loop.graphs import GraphStepper
from featlearn.loop.recorder import Outcome, Prospect, Recorder, observe
from featlearn.loop.replay import ReplayStepper
from featlearn.loop.state import State, Stepper
from featlearn.optim import changes, formula
from featlearn.pace import report_progress
from featlearn.runs import Record, Train

__all__ = ["GraphStepper", "MiniBatches", "Outcome", "Prospect", "Recorder", "State", "Stepper", "observe", "train"]

SYNC_EVERY = 64  # steps, where looking is not free


def train(
    engine: Engine, rule: Rule, losses: Iterator[Loss], schedule: Train, record: Record
) -> tuple[Outcome, Vector]:
    """Train the block that ``engine`` was built for, recording on the way; return also the final parameters.

    A run that has fitted or diverged keeps its parameters from then on.
    """
    stepper = _stepper(engine, rule, schedule.stop_at_train_loss)
    syncs = sync_steps(rule, schedule.n_steps, record.steps, 1 if stepper.syncs_freely else SYNC_EVERY)
    state, recorder = stepper.start(next(losses)), Recorder(engine, rule, record.trackers)
    for t, following in zip(syncs, [*syncs[1:], None], strict=True):
        report_progress(t / max(schedule.n_steps, 1))
        recorder.notice(state, t)
        if following is None or not state.active.any():
            recorder.record(state, t)
            break
        if t in record.steps:
            recorder.record(state, t)
        state = stepper.run(state, losses, t, following)
    return recorder.outcome(state), state.w


def sync_steps(rule: Rule, n_steps: int, recorded: tuple[int, ...], every: int) -> list[int]:
    """Return the steps after which the host looks, 0 and n_steps among them; all where the rule may always change."""
    others = changes(rule, n_steps)
    return (
        list(range(n_steps + 1)) if others is None else sorted({n_steps, *recorded, *others, *range(0, n_steps, every)})
    )


def _stepper(engine: Engine, rule: Rule, level: float | None) -> Stepper:
    """Return what takes the steps: all up to the next look in one go where the engine and the rule allow it."""
    kind = Stepper
    if isinstance(engine, GramEngine) and formula(rule, 0) is not None:
        kind = ReplayStepper if hasattr(engine, "replay") else GraphStepper if engine.seeds.is_cuda else Stepper
    return kind(engine, rule, level)
