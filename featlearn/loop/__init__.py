"""The training loop: it trains a block of runs of equal shape in one batch, and records them.

The host does not wait for the device between records: the device stores whether a run has fitted or diverged, and the
host reads it at every record, when the step of the rule changes, and every SYNC_EVERY steps.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from featlearn.engines.protocol import Engine, Loss, Rule, Vector
from featlearn.engines.span.engine import GramEngine
from featlearn.loop.batches import MiniBatches
from featlearn.loop.graphs import GraphStepper
from featlearn.loop.next_step import NextStep
from featlearn.loop.observer import Observer, Outcome
from featlearn.loop.replay import ReplayStepper
from featlearn.loop.state import State
from featlearn.loop.stepper import Stepper
from featlearn.pace import report_progress
from featlearn.runs import Record, Train

__all__ = [
    "GraphStepper",
    "MiniBatches",
    "NextStep",
    "Observer",
    "Outcome",
    "ReplayStepper",
    "State",
    "Stepper",
    "train",
]

SYNC_EVERY = 64  # steps


def train(
    engine: Engine, rule: Rule, losses: Iterator[Loss], schedule: Train, record: Record
) -> tuple[Outcome, Vector]:
    """Train the block that ``engine`` was built for, and record it; return also the final parameters.

    A run that has fitted or diverged keeps its parameters from then on.
    """
    level, error = schedule.stop_at_train_loss, schedule.stop_at_train_error
    stepper = make_stepper(engine, rule, level) if error is None else Stepper(engine, rule, level, error)
    stops = sorted({schedule.n_steps, *record.steps, *range(0, schedule.n_steps, SYNC_EVERY)})
    state, observer, t = stepper.start(next(losses)), Observer(engine, rule, record.trackers), 0
    while True:
        report_progress(t / max(schedule.n_steps, 1))
        observer.keep_stopped(state, t)
        ended = t == schedule.n_steps or not state.active.any()
        if ended or t in record.steps:
            observer.record(state, t)
        if ended:
            return observer.outcome(state), state.w
        following = stepper.until(state, t, stops[bisect_right(stops, t)])
        state, t = stepper.run(state, losses, t, following), following


def make_stepper(engine: Engine, rule: Rule, level: float | None) -> Stepper:
    """Return the stepper: it takes many steps in one call where the engine supports it."""
    kind: type[Stepper] = Stepper
    if isinstance(engine, GramEngine):
        kind = ReplayStepper if hasattr(engine, "replay") else GraphStepper if engine.seeds.is_cuda else Stepper
    return kind(engine, rule, level)
