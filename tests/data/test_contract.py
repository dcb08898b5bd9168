"""Every data model of patches keeps the contract, and a breach is reported; see also tests/config/test_own_data.py."""

from dataclasses import replace

import pytest
from three_classes import ThreeClasses

from featlearn.data import DATA, has_patches
from featlearn.data.contract import MEMBERS, NUMBERS, breach
from featlearn.data.model import Slot

MODELS = {word: cls for word, cls in DATA.items() if has_patches(cls)} | {"three classes": ThreeClasses}


@pytest.mark.parametrize("changes", [{}, {"n_patches": 4, "noise": "independent"}, {"n_samples": 2, "dim": 3}])
@pytest.mark.parametrize("word", MODELS)
def test_every_model_keeps_it(word, changes):
    model = MODELS[word](signal_norm=2.0, **changes)
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
