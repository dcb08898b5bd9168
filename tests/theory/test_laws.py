"""Every law is linear in its constant, over columns that a config has, and stated for words that exist."""

import inspect

import numpy as np
import pytest

from featlearn.data import DATA
from featlearn.functions import ACTIVATIONS, LOSSES
from featlearn.optim import OPTIMIZERS
from featlearn.theory import BOUNDARIES, LAWS, SETTINGS

SOME = {"alignment": 0.9, "small_share": 0.2, "single_share": 0.2}


def arguments_of(law):
    return {name: SOME.get(name, 4.0) for name in law.arguments}


@pytest.mark.parametrize("word", LAWS)
def test_a_law_is_linear_in_its_constant_and_broadcasts(word):
    law = LAWS[word]
    own = arguments_of(law)
    assert law(2.5, **own) == pytest.approx(2.5 * law(1.0, **own))
    assert law(np.array([1.0, 2.0, 3.0]), **own).shape == (3,)
    if law.conditions is not None:
        held = law.conditions(np.array([[0.1], [10.0]]), **{**own, next(iter(own)): np.array([1.0, 2.0, 3.0])})
        assert held.dtype == bool and held.shape == (2, 3)


@pytest.mark.parametrize("word", LAWS)
def test_a_law_is_stated_for_what_exists(word):
    law, setting = LAWS[word], LAWS[word].setting
    assert setting["data.model"] in DATA and setting.get("optimizer.name", "sgd") in OPTIMIZERS
    assert setting["network.activation"] in ACTIVATIONS and setting["network.loss"] in LOSSES
    of_data = set(inspect.signature(DATA[setting["data.model"]]).parameters)
    for column in (law.strength, *law.arguments.values()):
        section, _, name = column.partition(".")
        assert section != "data" or name in of_data
    assert SETTINGS[word] is setting and BOUNDARIES[word] is law
