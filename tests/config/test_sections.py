"""The sections of a config, their kinds and their keys."""

from __future__ import annotations

from featlearn.config.parameters import parameters
from featlearn.config.sections import SECTIONS, known_keys


def test_parameters_of_a_rule_and_of_its_base_have_different_names() -> None:
    for section in SECTIONS.values():
        for kind in section.kinds.values():
            assert not kind.base or not parameters(kind.cls).keys() & parameters(kind.base).keys()


def test_known_keys_are_dotted_and_reach_into_theory() -> None:
    known = known_keys()
    assert {"seed", "data", "data.dim", "data.model", "optimizer.rho.theory", "record.every.log"} <= set(known)
    assert known["optimizer"] is None
