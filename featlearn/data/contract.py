"""Checks of a user's data model against data/model.py, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

MEMBERS = ("frame", "slots", "draw", "population")
NUMBERS = ("n_classes", "n_common", "n_samples", "dim", "n_patches", "flip_prob")


def breach(data: Any) -> str | None:
    """Return the first error in the frame, the population or one draw of a patch model; None if there is none."""
    return next(_breaches(data), None)


def _breaches(data: Any) -> Iterator[str]:
    import torch

    from featlearn.streams.lanes import LaneDraws

    frame, slots, n, n_signals = data.frame, data.slots, data.n_samples, len(data.frame.signals)
    square = [len(row) for row in frame.gram] == [n_signals] * n_signals
    if not square or any(frame.gram[i][j] != frame.gram[j][i] for i in range(n_signals) for j in range(i)):
        yield f"frame.gram is not a symmetric {n_signals} x {n_signals} matrix, as frame.signals asks for"
    if any(not 0 <= owner < n for owner in frame.owners):
        yield f"frame.noises have owners that are none of the {n} samples"
    if (shown := sum(slot.times for slot in slots)) != data.n_patches:
        yield f"slots hold {shown} patches, and n_patches = {data.n_patches}"
    yield from _of_population(data)
    training = data.draw(LaneDraws(torch.tensor([0])))
    allowed = {-1.0, 1.0} if data.n_classes == 2 else set(map(float, range(data.n_classes)))
    for name, shape in (("true_labels", (1, n)), ("labels", (1, n)), ("shown", (1, n, len(slots)))):
        if (found := tuple(getattr(training, name).shape)) != shape:
            yield f"draw returns {name} of shape {list(found)} for one run, expected {list(shape)}"
    if not {*training.labels.flatten().tolist(), *training.true_labels.flatten().tolist()} <= allowed:
        yield f"draw returns labels other than {', '.join(f'{label:g}' for label in sorted(allowed))}"
    if training.vectors.shape[-2:] != training.strengths.shape[-2:]:
        yield "draw returns vectors and strengths of different shapes"
    n_patches = training.vectors.shape[-2]
    for name, values, end in (
        ("vectors", training.vectors, n_signals + frame.n_noises),
        ("shown", training.shown, n_patches),
    ):
        if values.is_floating_point() or values.min() < 0 or values.max() >= end:
            yield f"draw returns {name} that are not integers from 0 to {end - 1}"


def _of_population(data: Any) -> Iterator[str]:
    kinds, n_signals = data.population(), len(data.frame.signals)
    total = math.fsum(kind.probability for kind in kinds)
    if not math.isclose(total, 1.0):
        yield f"the probabilities of population() add up to {total:g}, not to 1"
    for kind in kinds:
        if (held := sum(patch.times for patch in kind.patches)) != data.n_patches:
            yield f"a kind of population() has {held} patches, and n_patches = {data.n_patches}"
        if any(not 0 <= number < n_signals for patch in kind.patches for number, _ in patch.signals):
            yield f"a kind of population() shows a signal that is none of the {n_signals}"
