"""Every data model of patches keeps the contract, and a breach is reported; see also tests/config/test_own_data.py."""

import re
from dataclasses import dataclass, fields, replace

import pytest
from three_classes import ThreeClasses

from featlearn.data import DATA, XOR, SignalNoise, has_patches
from featlearn.data.contract import MEMBERS, NUMBERS, breach
from featlearn.data.model import Slot

MODELS = {word: cls for word, cls in DATA.items() if has_patches(cls)} | {"three classes": ThreeClasses}


@pytest.mark.parametrize("changes", [{}, {"n_patches": 4, "noise": "independent"}, {"n_samples": 2, "dim": 3}])
@pytest.mark.parametrize("word", MODELS)
def test_every_model_keeps_it(word, changes):
    known = {field.name for field in fields(MODELS[word])}
    model = MODELS[word](**{name: x for name, x in {"signal_norm": 2.0, **changes}.items() if name in known})
    assert breach(model) is None
    assert all(hasattr(model, name) for name in (*MEMBERS, *NUMBERS))


class Broken(ThreeClasses):
    """Slots with one patch too many."""

    slots = (Slot("signal", common=True), Slot("noise", 2))


class Improbable(ThreeClasses):
    """Kinds of probability 1 in all but one."""

    def population(self):
        return tuple(replace(kind, probability=0.5) for kind in super().population())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Broken, "slots hold 3 patches, and n_patches = 2"),
        (Improbable, "the probabilities of population() add up to 1.5, not to 1"),
    ],
)
def test_a_breach_is_reported(model, message):
    assert breach(model(signal_norm=1.0)) == message


@dataclass(frozen=True, kw_only=True)
class OneNumberForAll(SignalNoise):
    """Its flips compare [b, n] with a number [b]."""

    def draw(self, draws):
        drawn = super().draw(draws)
        return replace(drawn, labels=drawn.labels.where(draws.uniforms("more", self.n_samples) > self.flip_prob, 1.0))


@dataclass(frozen=True, kw_only=True)
class Indefinite(XOR):
    """No two vectors have these inner products."""

    @property
    def frame(self):
        return replace(super().frame, gram=((1.0, 2.0), (2.0, 1.0)))


@dataclass(frozen=True, kw_only=True)
class WrongSide(SignalNoise):
    """Its noise counts as a patch that other samples show."""

    @property
    def slots(self):
        return tuple(replace(slot, common=True) for slot in super().slots)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (OneNumberForAll(n_samples=5, signal_norm=1.0, flip_prob=0.2), "size of tensor|other labels for a run among"),
        (Indefinite(signal_norm=1.0), "not positive semidefinite"),
        (WrongSide(signal_norm=1.0), "slot 1 with common = True shows patches on the other side"),
        (SignalNoise(signal_norm=1.0, n_samples=0), "at least one sample"),
        (SignalNoise(signal_norm=1.0, flip_prob=2.0), "no probability below 1"),
        (XOR(signal_norm=1.0, dim=1), "less than the 2 signals"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_would_train_on_other_data_is_refused(data, message):
    try:
        found = breach(data)
    except RuntimeError as error:  # shapes that do not fit say so themselves
        found = str(error)
    assert found is not None and re.search(message, found)
