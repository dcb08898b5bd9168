"""What one request may cost: memory by counting, time by a clock that ends a computation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from featlearn.pace import COMPILING, reporting_to
from featlearn.runs import RunConfig

NUMBERS = 2**23  # of one run: inner products, coefficients, coordinates of drawn vectors
SECONDS = 6.0  # of one computation
TOTAL = 60.0  # of all computations of one request, waiting included


class TooMuch(ValueError):
    """A request that would take too much memory or time."""


def refuse_large(run: RunConfig) -> None:
    """Raise TooMuch for a run whose arrays would be too large."""
    f, k = run.network.n_neurons(run.data), run.data.n_common + run.data.frame.n_noises
    numbers = k * k + f * f + 8 * f * k
    if run.sampling == "vectors":
        numbers += (f + k + run.data.n_samples * run.data.n_patches) * run.data.dim
    if numbers > NUMBERS:
        why = f"a run of {numbers:.2g} numbers is too large for this page, which takes {NUMBERS:.2g}"
        drawn = " (this rule or network needs explicit vectors: lower dim)" if run.sampling == "vectors" else ""
        raise TooMuch(f"{why}{drawn}; sweep it instead")


@contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """End the simulations inside with TooMuch when they take too long; compiling loops is not counted."""
    deadline = time.monotonic() + seconds
    compiling = False

    def listen(share: float) -> None:
        nonlocal deadline, compiling
        if compiling:
            deadline = time.monotonic() + seconds
        compiling = share == COMPILING
        if not compiling and time.monotonic() > deadline:
            raise too_long(seconds)

    with reporting_to(listen):
        yield


def too_long(seconds: float) -> TooMuch:
    """Return the refusal of what takes longer."""
    return TooMuch(f"more than {seconds:g} s of computing are too much for this page; sweep it instead")
