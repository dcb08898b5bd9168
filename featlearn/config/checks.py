"""Checks of a run that concern the keys of several sections."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from featlearn.config.problems import Problem, show
from featlearn.config.resolve import Sections, needs, word_of
from featlearn.config.sections import split
from featlearn.data import DATA, SignalNoise
from featlearn.engines import ENGINES
from featlearn.geometry import law_reason
from featlearn.models import MODELS, Landscape
from featlearn.optim import OPTIMIZERS, Wrapper
from featlearn.trackers import TRACKERS

MAX_RECORDS = 10**6
Conflicts = Iterator[tuple[str, str]]  # the offending key, and the reason
Check = tuple[tuple[str, ...], Callable[[Sections], Conflicts]]  # the keys that it depends on, and the check


def conflicts(sections: Sections, checks: Sequence[Check]) -> list[Problem]:
    """Return the conflicts between sections; a check is skipped if a value that it needs is invalid."""
    sound = all(parsed.object is not None and not parsed.invalid for parsed in sections.parsed.values())
    known = [check for keys, check in checks if sound or all(_known(sections, key) for key in keys)]
    return [_problem(sections, key, message) for check in known for key, message in check(sections)]


def _known(sections: Sections, key: str) -> bool:
    name, rest = split(key)
    parsed = sections.parsed[name]
    return parsed.object is not None and not (parsed.invalid & set(rest) if rest else parsed.invalid)


def _problem(sections: Sections, key: str, message: str) -> Problem:
    name, rest = split(key)
    return sections.parsed[name].node.problem(message, *rest)


def _shown(s: Sections) -> Conflicts:
    network = s.parsed["network"].object
    if not s.fits:
        choices, found = " or ".join(network.sees), word_of(DATA, s.data)
        yield "data.model", f"a network of model {word_of(MODELS, network)} needs {choices}, found {found}"
    elif isinstance(network, Landscape) and (reason := network.refusal(s.data)):
        yield "network.model", reason


def config_name(part: Any) -> str:
    """Return the word for a rule, a tracker or a network in a config; the class name if user-defined."""
    return {cls: word for word, cls in (OPTIMIZERS | TRACKERS | MODELS).items()}.get(type(part), type(part).__name__)


def _signal(s: Sections) -> Conflicts:
    if not isinstance(s.data, SignalNoise):
        return
    try:
        snr = s.data.strength / (s.data.noise_std * math.sqrt(s.data.dim))
        if not (math.isfinite(s.data.strength) and math.isfinite(snr)):
            yield "data.noise_std", "the ratio of signal to noise is not a finite number"
    except ValueError as error:
        yield "data.signal_norm" if s.data.snr is None else "data.snr", str(error)


def _batch(s: Sections) -> Conflicts:
    if s.batch_size > s.data.n_samples:
        yield "train.batch_size", f"{s.batch_size} is more than data.n_samples = {s.data.n_samples}"


def _splits(s: Sections) -> Conflicts:
    conflicts = getattr(s.parsed["optimizer"].object, "batch_conflicts", None)
    last = s.data.n_samples % s.batch_size
    for size, which in ((s.batch_size, ""), (last, ", the last of an epoch")):
        for key, reason in conflicts(size) if conflicts and size else ():
            yield f"optimizer.{key}", reason + which


def _recorded_steps(s: Sections) -> Conflicts:
    every, n_steps = s.record.every, s.train.n_steps
    if isinstance(every, list) and max(every, default=0) > n_steps:
        yield "record.every", f"step {max(every)} is after the last, train.n_steps = {n_steps}"
    if isinstance(every, int) and n_steps // every > MAX_RECORDS:
        yield "record.every", f"would record {n_steps // every} steps; the limit is {MAX_RECORDS}"


def _phase(s: Sections) -> Conflicts:
    """Refuse a window of steps that does not lie within the run."""
    rule, last = s.parsed["optimizer"].object, f"train.n_steps = {s.train.n_steps}"
    if isinstance(rule, Wrapper) and rule.start >= s.train.n_steps:
        yield "optimizer.start", f"expected an integer < {last}, found {rule.start}"
    if isinstance(rule, Wrapper) and (rule.stop or 0) > s.train.n_steps:
        yield "optimizer.stop", f"expected an integer <= {last}, or null for never, found {rule.stop}"


def _scales(s: Sections) -> Conflicts:
    if isinstance(s.parsed["network"].object, Landscape):
        for key in s.parsed["optimizer"].scale_factors:
            yield f"optimizer.{key}", "theory scales are for signal-noise data; give a number for a landscape"
        return
    for name in ("network", "optimizer"):
        for key, value in s.parsed[name].resolved(s.numbers).items():
            parameter = s.parsed[name].parameters[key]
            if not parameter.accepts(value):
                yield f"{name}.{key}", f"expected {parameter.expected}; theory gives {show(value)}"


def _engine(s: Sections) -> Conflicts:
    network = s.parsed["network"].object
    parts = {
        "network.model": [network],
        "optimizer.name": [s.parsed["optimizer"].object],
        "record.trackers": s.trackers,
    }
    for key, users in parts.items():
        for part in users:
            missing = needs(part) - ENGINES[s.engine]
            who = f"the {s.engine} engine" if missing else f"a network of model {word_of(MODELS, network)}"
            if missing := missing or needs(part) - network.provides:
                yield key, f"{config_name(part)} needs {', '.join(sorted(missing))}, which {who} does not provide"


def _parameters(s: Sections) -> Conflicts:
    asking = [(tracker, *tracker.one_per_parameter) for tracker in s.trackers if hasattr(tracker, "one_per_parameter")]
    found = s.parsed["network"].object.n_parameters(s.data) if asking and s.fits else math.inf
    for tracker, many, what in asking:
        if many > found:
            name = config_name(tracker)
            yield "record.trackers", f"{name} asks for {many} {what}; the network has {found} parameters"


def _edges(s: Sections) -> Conflicts:
    rule = s.parsed["optimizer"].object
    for tracker in s.trackers:
        known = getattr(tracker, "edges", None)
        if known is not None and getattr(rule, "edge", None) not in known:
            what = f"{config_name(tracker)} has no edge for {config_name(rule)} as configured"
            plain = f"there is one for {', '.join(sorted(known))} without momentum and weight decay"
            beside = "" if "sgd" in known else "; for gradient descent use sam with optimizer.rho = 0"
            yield "record.trackers", f"{what}: {plain}{beside}"


def _span(s: Sections) -> Conflicts:
    dependent = s.engine == "weights" and isinstance(s.data, SignalNoise) and s.data.dim <= s.data.n_noises
    for tracker in s.trackers:
        if dependent and "span" in needs(tracker):
            vectors = f"{s.data.n_noises + 1} data vectors are dependent in data.dim = {s.data.dim}"
            yield "record.trackers", f"{config_name(tracker)} is not unique in the weights engine: {vectors}"


def _sampling(s: Sections) -> Conflicts:
    if s.head.sampling != "gram":
        return
    if isinstance(s.parsed["network"].object, Landscape):
        yield "sampling", "gram is a law of signal and noise; a landscape draws its own numbers: use auto"
    elif s.engine != "gram":
        yield "sampling", f"gram draws no vectors, which the {s.engine} engine needs"
    elif reason := law_reason(s.data, s.network):
        yield "sampling", f"cannot be gram: {reason}"


CHECKS: tuple[Check, ...] = (
    (("data", "network"), _shown),
    (("data.signal_norm", "data.snr", "data.noise_std", "data.dim"), _signal),
    (("train.batch_size", "data.n_samples"), _batch),
    (("train.batch_size", "data.n_samples", "optimizer"), _splits),
    (("record.every", "train.n_steps"), _recorded_steps),
    (("optimizer.start", "optimizer.stop", "train.n_steps"), _phase),
    (("data", "network", "optimizer", "train.batch_size"), _scales),
    (("engine", "network", "optimizer", "record.trackers"), _engine),
    (("data", "network", "record.trackers"), _parameters),
    (("engine", "data", "network", "optimizer", "record.trackers"), _span),
    (("network", "optimizer", "record.trackers"), _edges),
    (("engine", "sampling", "data", "network", "optimizer", "record.trackers"), _sampling),
)


def _full_batch(s: Sections) -> Conflicts:
    caution = getattr(s.parsed["optimizer"].object, "on_full_batch", str)()
    if caution and s.batch_size == s.data.n_samples:
        yield "optimizer", f"{config_name(s.parsed['optimizer'].object)} on the full batch {caution}"


CAUTIONS: tuple[Check, ...] = (  # valid, but probably not intended
    (("train.batch_size", "data.n_samples", "optimizer"), _full_batch),
)
