"""The passes of a sweep over its runs: its own, then over what other sweeps had claimed and did not commit."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from featlearn.sweeps.blocks import Plan
from featlearn.sweeps.claims import Claims
from featlearn.sweeps.report import SweepReport
from featlearn.sweeps.signals import Signals

WAIT_SECONDS = 0.5


def passes(plan: Plan, claims: Claims, report: SweepReport, signals: Signals, name: str | None) -> Iterator[Plan]:
    """Yield plans until all runs have ended, and report what other sweeps have committed.

    name: of the sweep, to say that it waits; None to be quiet.
    """
    while plan.todo.any():
        yield plan
        free = set[str]()
        while not free:
            report.share(claims.news())
            if not claims.left:
                return
            free = claims.free()
            if free:
                break
            if name:
                print(f"{name}: waiting for {len(claims.left)} runs that another sweep computes", file=sys.stderr)
                name = None
            with signals.open():
                time.sleep(WAIT_SECONDS)
        plan = plan.among(free)
