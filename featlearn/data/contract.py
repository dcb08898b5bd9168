"""Checks of a user's data model against data/model.py, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

MEMBERS = ("frame", "slots", "draw", "population")
RUNS = ("true_labels", "labels", "shown")  # with an axis of runs
MOST_COUNTED = 10**7  # samples times slots times noises
NUMBERS = ("n_classes", "n_common", "n_samples", "dim", "n_patches", "flip_prob")


def breach(data: Any) -> str | None:
    """Return the first error in the frame, the population or one draw of a patch model; None if there is none."""
    return next(_breaches(data), None)


def _breaches(data: Any) -> Iterator[str]:
    import torch

    from featlearn.streams.lanes import LaneDraws

    if data.n_samples < 1:
        yield f"n_samples = {data.n_samples}: a training set has at least one sample"
    if not 0 <= data.flip_prob < 1:
        yield f"flip_prob = {data.flip_prob} is no probability below 1"
    frame, slots, n, n_signals = data.frame, data.slots, data.n_samples, len(data.frame.signals)
    if not n_signals or not frame.n_noises:
        yield "frame holds no signal, or no noise: there must be at least one of each"
    if data.dim < n_signals:
        yield f"dim = {data.dim} is less than the {n_signals} signals"
    if any(not (noise.std >= 0 and math.isfinite(noise.std)) for noise in frame.noises):
        yield "frame.noises have a standard deviation that is negative or not finite"
    if frame.spectrum and not math.isclose(math.fsum(size for _, size in frame.spectrum), data.dim):
        yield "frame.spectrum has multiplicities that do not add up to dim"
    if frame.spectrum and (frame.spectrum[0][1] < n_signals or any(not value >= 0 for value, _ in frame.spectrum)):
        yield "frame.spectrum has a negative eigenvalue, or a first eigenspace with fewer dimensions than signals"
    square = [len(row) for row in frame.gram] == [n_signals] * n_signals
    if not square or any(frame.gram[i][j] != frame.gram[j][i] for i in range(n_signals) for j in range(i)):
        yield f"frame.gram is not a symmetric {n_signals} x {n_signals} matrix, as frame.signals requires"
    largest = max(frame.gram[i][i] for i in range(n_signals))
    lower = frame.coordinates
    for i, j in ((i, j) for i in range(n_signals) for j in range(n_signals)):
        inner = math.fsum(x * y for x, y in zip(lower[i], lower[j], strict=True))
        if not abs(inner - frame.gram[i][j]) <= 1e-9 * largest:
            yield "frame.gram is not positive semidefinite: no vectors have these inner products"
    if any(not 0 <= owner < n for owner in frame.owners):
        yield f"frame.noises have owners that are none of the {n} samples"
    if any(type(slot.times) is not int or slot.times < 1 for slot in (*slots, *frame.noises)):
        yield "slots or frame.noises have times that are no integers >= 1"
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
    if not training.strengths.isfinite().all():
        yield "draw returns strengths that are not finite"
    yield from _of_noises(data, training)
    yield from _of_block(data, training)


def _of_noises(data: Any, training: Any) -> Iterator[str]:
    """Check that a noise is shown by its owner alone, by as many patches as it says; not for large sets."""
    import torch

    frame, shown = data.frame, training.shown[0]
    (n, n_slots), n_signals = shown.shape, len(frame.signals)
    if n * n_slots * frame.n_noises > MOST_COUNTED:
        return
    vectors, present = (x.reshape(-1, *x.shape[-2:])[0] for x in (training.vectors, (training.strengths != 0).double()))
    holds = present.new_zeros(len(vectors), n_signals + frame.n_noises).scatter_add_(1, vectors.long(), present)
    times = torch.tensor([float(slot.times) for slot in data.slots], dtype=torch.float64)
    counts = (times[:, None] * (holds[shown][..., n_signals:] > 0)).sum(1)
    owners, most = torch.tensor(frame.owners), torch.tensor(frame.times)
    others = counts.clone()
    others[owners, torch.arange(len(owners))] = 0
    for sample, noise in others.nonzero()[:1].tolist():
        yield f"draw shows noise {noise} in sample {sample}; frame.noises say that it belongs to sample {owners[noise]}"
    for _, noise in (counts > most).nonzero()[:1].tolist():
        found = f"{counts[:, noise].max():g} patches of its sample, and its times are {most[noise]}"
        yield f"draw shows noise {noise} in {found}"


def _of_block(data: Any, alone: Any) -> Iterator[str]:
    """Check that a run is drawn alike beside others: there the model's real numbers and dim are tensors [b]."""
    import torch

    from featlearn.streams.lanes import LaneDraws

    for count in {2, data.n_samples}:
        numbers = {name: value for name, value in vars(data).items() if isinstance(value, float)}
        several = {name: torch.full((count,), value, dtype=torch.float64) for name, value in numbers.items()}
        others = {name: torch.cat([x[:1], torch.zeros(count - 1)]) for name, x in several.items()}
        dims = {"dim": torch.full((count,), float(data.dim), dtype=torch.float64)}
        for own in (several, others, several | dims):
            block = replace(data, **own).draw(LaneDraws(torch.arange(count)))
            for name, x in vars(block).items():
                of_run, expected = (y[0] if name in RUNS or y.ndim == 3 else y for y in (x, getattr(alone, name)))
                if of_run.shape != expected.shape or not torch.equal(of_run, expected):
                    yield f"draw returns other {name} for a run among {count}: is a number [b] used as a single one?"
    for number, slot in enumerate(data.slots):
        common = alone.shown[..., number] < data.n_common
        if not (common if slot.common else ~common).all():
            yield f"slot {number} with common = {slot.common} shows patches on the other side of n_common"


def _of_population(data: Any) -> Iterator[str]:
    kinds, n_signals = data.population(), len(data.frame.signals)
    total = math.fsum(kind.probability for kind in kinds)
    if not math.isclose(total, 1.0):
        yield f"the probabilities of population() add up to {total:g}, not to 1"
    allowed = {-1.0, 1.0} if data.n_classes == 2 else set(map(float, range(data.n_classes)))
    for kind in kinds:
        if not 0 <= kind.probability <= 1:
            yield f"a kind of population() has the probability {kind.probability:g}"
        if kind.label not in allowed:
            yield f"a kind of population() has the label {kind.label:g}"
        if (held := sum(patch.times for patch in kind.patches)) != data.n_patches:
            yield f"a kind of population() has {held} patches, and n_patches = {data.n_patches}"
        if not all(math.isfinite(strength) for patch in kind.patches for _, strength in patch.signals):
            yield "a kind of population() has a strength that is not finite"
        if not all(patch.std >= 0 and math.isfinite(patch.std) for patch in kind.patches):
            yield "a kind of population() has noise of a standard deviation that is negative or not finite"
        if any(not 0 <= number < n_signals for patch in kind.patches for number, _ in patch.signals):
            yield f"a kind of population() shows a signal that is none of the {n_signals}"
