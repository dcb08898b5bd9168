"""Checks of a run that concern the keys of several sections."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from featlearn.config.automatic import law_reason
from featlearn.config.limits import limit_cautions, limit_refusals
from featlearn.config.problems import Problem, show
from featlearn.config.resolve import Sections, needs
from featlearn.config.sections import split
from featlearn.custom import FAILURES, raised_at, told
from featlearn.data import DATA, has_patches
from featlearn.data.contract import breach
from featlearn.engines import ENGINES
from featlearn.models import MODELS, Landscape
from featlearn.optim import OPTIMIZERS, Wrapper
from featlearn.runs import NO_LANDSCAPE, ONLY_PATCHES
from featlearn.sde import Dynamics
from featlearn.theory.scales import SETTING
from featlearn.trackers import TRACKERS

MAX_RECORDS = 10**6
Conflicts = Iterator[tuple[str, str]]  # the offending key, and the reason
Check = tuple[tuple[str, ...], Callable[[Sections], Conflicts]]  # the keys that it depends on, and the check


def conflicts(sections: Sections, checks: Sequence[Check]) -> list[Problem]:
    """Return the conflicts between sections; a check is skipped if a value that it needs is invalid."""
    if refused := _refused_data(sections):
        return refused  # other checks use its numbers, which are its code
    sound = all(parsed.object is not None and not parsed.invalid for parsed in sections.parsed.values())
    known = [check for keys, check in checks if sound or all(_known(sections, key) for key in keys)]
    return [_problem(sections, key, message) for check in known for key, message in check(sections)]


def _refused_data(sections: Sections) -> list[Problem]:
    """Return the problems of a user's data model, before anything else asks it."""
    if sections.data is None or type(sections.data) in DATA.values() or not _known(sections, "data"):
        return []
    return [_problem(sections, key, message) for key, message in _own_data(sections)]


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
        choices, found = " or ".join(s.fitting), config_name(s.data)
        yield "data.model", f"a network of model {config_name(network)} needs {choices}, found {found}"
    elif reason := network.refusal(s.data):
        yield "network.loss", reason


def config_name(part: Any) -> str:
    """Return the word for a part of a run in a config; the class name if user-defined."""
    words = {cls: word for word, cls in (DATA | OPTIMIZERS | TRACKERS | MODELS).items()}
    part = part.rule if isinstance(part, Dynamics) else part
    return words.get(type(part), type(part).__name__)


def _signal(s: Sections) -> Conflicts:
    """Refuse numbers that a data model refuses, at the last given key that its message names, and infinite ones."""
    derived: dict[str, float] = {}
    try:
        derived = s.data.derived() if hasattr(s.data, "derived") else {}
        frame = s.data.frame if has_patches(s.data) else None
        finite = frame is None or all(math.isfinite(number) for row in frame.gram for number in row)
    except ArithmeticError as error:
        if place := raised_at(error):
            yield "data.model", f"{place}: {told(error)}"
            return
        finite = False
    except ValueError as error:
        named = [key for key in s.parsed["data"].parameters if re.search(rf"\b{key}\b", str(error))]
        given = [key for key in named if getattr(s.data, key) is not None]
        yield ".".join(["data", *[*named[:1], *given][-1:]]), str(error)
        return
    except FAILURES as error:
        if not (place := raised_at(error)):
            raise
        yield "data.model", f"{place}: {told(error)}"
        return
    if not all(map(math.isfinite, derived.values())):
        yield "data.noise_std", "the ratio of signal to noise is not a finite number"
    elif not finite:
        yield "data", "an inner product of signals is not a finite number"


def _own_data(s: Sections) -> Conflicts:
    """Refuse a user-defined data model that breaks the contract of data/model.py."""
    if type(s.data) in DATA.values():
        return
    if refused := list(_signal(s)):
        yield from refused
        return
    try:
        reason = _breach(s.data)
    except FAILURES as error:
        reason = f"{raised_at(error) or 'in its draw'}: {told(error)}"
    if reason:
        yield "data.model", f"{config_name(s.data)}: {reason}"


@lru_cache(maxsize=4096)  # the runs of a sweep share their data
def _breach(data: Any) -> str | None:
    return breach(data)


def _batch(s: Sections) -> Conflicts:
    if s.batch_size > s.data.n_samples:
        yield "train.batch_size", f"{s.batch_size} is more than data.n_samples = {s.data.n_samples}"


def _splits(s: Sections) -> Conflicts:
    conflicts = getattr(s.algorithm, "batch_conflicts", None)
    last = s.data.n_samples % s.batch_size if s.train.batch_sampling == "epochs" else 0
    for size, which in ((s.batch_size, ""), (last, ", the last of an epoch")):
        for key, reason in conflicts(size) if conflicts and size else ():
            yield f"optimizer.{key}", reason + which


def _gradient_noise(s: Sections) -> Conflicts:
    if s.train.gradient_noise and not isinstance(s.parsed["network"].object, Landscape):
        yield "train.gradient_noise", f"{NO_LANDSCAPE}: use 0"


def _stop(s: Sections) -> Conflicts:
    if s.train.stop_at_train_error is not None and isinstance(s.parsed["network"].object, Landscape):
        yield "train.stop_at_train_error", ONLY_PATCHES


def _recorded_steps(s: Sections) -> Conflicts:
    every, n_steps = s.record.every, s.train.n_steps
    if isinstance(every, list) and max(every, default=0) > n_steps:
        yield "record.every", f"step {max(every)} is after the last, train.n_steps = {n_steps}"
    if isinstance(every, int) and n_steps // every > MAX_RECORDS:
        yield "record.every", f"would record {n_steps // every} steps; the limit is {MAX_RECORDS}"


def _phase(s: Sections) -> Conflicts:
    """Refuse a window of steps that does not lie within the run."""
    rule, last = s.algorithm, f"train.n_steps = {s.train.n_steps}"
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
            if math.isnan(value):
                yield f"{name}.{key}", f"{config_name(s.data)} lacks numbers of the theory scale; give a number"
            elif not parameter.accepts(value):
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
            who = f"the {s.engine} engine" if missing else f"a network of model {config_name(network)}"
            if missing := missing or needs(part) - network.provides:
                yield key, f"{config_name(part)} needs {', '.join(sorted(missing))}, which {who} does not provide"


def _parameters(s: Sections) -> Conflicts:
    asking = [(tracker, *tracker.one_per_parameter) for tracker in s.trackers if hasattr(tracker, "one_per_parameter")]
    found = s.parsed["network"].object.n_parameters(s.data) if asking and s.fits else math.inf
    for tracker, many, what in asking:
        if many > found:
            name = config_name(tracker)
            yield "record.trackers", f"{name} needs {many} {what}; the network has {found} parameters"


def _edges(s: Sections) -> Conflicts:
    rule = s.parsed["optimizer"].object
    for tracker in s.trackers:
        known = getattr(tracker, "edges", None)
        if known is not None and getattr(rule, "edge", None) not in known:
            what = f"{config_name(tracker)} has no edge for {config_name(s.algorithm)} as configured"
            plain = f"there is one for {', '.join(sorted(known))} without momentum and weight decay"
            beside = "" if "sgd" in known else "; for gradient descent use sam with optimizer.rho = 0"
            yield "record.trackers", f"{what}: {plain}{beside}"


def _span(s: Sections) -> Conflicts:
    n_vectors = len(s.frame.signals) + s.frame.n_noises if s.frame else 0
    dependent = s.engine == "weights" and s.data.dim < n_vectors
    for tracker in s.trackers:
        if dependent and "span" in needs(tracker):
            vectors = f"{n_vectors} data vectors are dependent in data.dim = {s.data.dim}"
            yield "record.trackers", f"{config_name(tracker)} is not unique in the weights engine: {vectors}"


def _sampling(s: Sections) -> Conflicts:
    if s.head.sampling != "gram":
        return
    if isinstance(s.parsed["network"].object, Landscape):
        yield "sampling", "gram is a law of signal and noise; a landscape draws its own numbers: use auto"
    elif s.engine != "gram":
        yield "sampling", f"gram draws no vectors, which the {s.engine} engine needs"
    elif s.frame and (reason := law_reason(s.data, s.network)):
        yield "sampling", f"cannot be gram: {reason}"


CHECKS: tuple[Check, ...] = (
    (("data", "network"), _shown),
    (("data.signal_norm", "data.snr", "data.noise_std", "data.dim", "data.noise_spectrum"), _signal),
    (("data",), _own_data),
    (("train.batch_size", "data.n_samples"), _batch),
    (("train.batch_size", "train.batch_sampling", "data.n_samples", "optimizer"), _splits),
    (("train.gradient_noise", "network"), _gradient_noise),
    (("train.stop_at_train_error", "network"), _stop),
    (("record.every", "train.n_steps"), _recorded_steps),
    (("optimizer.start", "optimizer.stop", "train.n_steps"), _phase),
    (("data", "network", "optimizer", "train.batch_size"), _scales),
    (("engine", "network", "optimizer", "record.trackers"), _engine),
    (("data", "network", "record.trackers"), _parameters),
    (("engine", "data", "network", "optimizer", "record.trackers"), _span),
    (("network", "optimizer", "record.trackers"), _edges),
    (("engine", "sampling", "data", "network", "optimizer", "record.trackers"), _sampling),
    (("engine", "dtype", "data", "network", "optimizer", "train", "record.trackers"), limit_refusals),
)


def _full_batch(s: Sections) -> Conflicts:
    caution = getattr(s.algorithm, "on_full_batch", str)()
    noisy = s.train.gradient_noise or s.train.batch_sampling == "with_replacement"
    if caution and s.batch_size == s.data.n_samples and not noisy:
        yield "optimizer", f"{config_name(s.algorithm)} on the full batch {caution}"


def _derivation(s: Sections) -> Conflicts:
    """Warn of theory scales of a rule outside the setting that they are derived for."""
    network = s.parsed["network"].object
    if isinstance(network, Landscape):
        return
    found = {"data.model": config_name(s.data), **{f"network.{key}": value for key, value in vars(network).items()}}
    other = [f"{key} = {value}" for key, value in SETTING.items() if found[key] != value]
    for key in s.parsed["optimizer"].scale_factors if other else ():
        yield f"optimizer.{key}", f"the theory scale is derived for {', '.join(other)}; it is used here all the same"


CAUTIONS: tuple[Check, ...] = (  # valid, but probably not intended
    (("data", "network", "optimizer"), _derivation),
    (("train", "data.n_samples", "optimizer"), _full_batch),
    (("engine", "dtype", "data", "network", "optimizer", "train", "record.trackers"), limit_cautions),
)
