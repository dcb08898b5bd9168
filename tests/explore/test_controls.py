from dataclasses import dataclass
from typing import Annotated, Literal

from featlearn.config.parameters import parameters
from featlearn.data import DATA
from featlearn.explore.controls import alternatives, choices, control, controls, kind_of, of_kind
from featlearn.optim import OPTIMIZERS
from featlearn.types import Bound, Positive


@dataclass(frozen=True, kw_only=True)
class New:
    """A new rule.

    width: of something.
    angle: in degrees.
    count: of things.
    words: which.
    switch: whether.
    label: any text.
    """

    width: Positive = 2.0
    angle: Annotated[float, Bound(ge=0, lt=180)] = 90.0
    count: Annotated[int, Bound(ge=1)] | None = None
    words: Literal["a", "b"] = "a"
    switch: bool = False
    label: str = ""


def test_controls_follow_from_annotations_and_docstrings():
    made = {one.name: one for one in controls("data", New)}
    assert [*made] == ["width", "angle", "count", "words", "switch"]  # none for text
    assert (made["width"].scale, made["width"].low, made["width"].doc) == ("log", 0.02, "of something.")
    assert made["angle"].low == 0 and 170 < made["angle"].high < 180 and made["angle"].scale == "linear"
    assert made["count"].integer and made["count"].empty == "null"
    assert made["words"].words == ("a", "b") and made["switch"].words == ("false", "true")
    assert not any(one.aside for one in made.values())


def test_the_dimension_goes_to_1e12_on_a_logarithm():
    dim = control("data.dim", parameters(DATA["signal_noise"])["dim"])
    assert (dim.scale, dim.high, dim.integer) == ("log", 1e12, True)


def test_only_what_the_page_can_set_is_offered():
    assert "digits" not in choices("data") and "xor" in choices("data")
    assert "torch_optim" not in choices("optimizer") and {*choices("optimizer")} == {*OPTIMIZERS} - {"torch_optim"}


def test_the_controls_of_a_kind_are_those_of_its_base_too():
    kind = kind_of("optimizer", {"name": "sam"})
    keys = [one.key for one in of_kind("optimizer", kind)]
    assert {"optimizer.rho", "optimizer.lr", "optimizer.dynamics"} <= {*keys} and len(keys) == len({*keys})
    assert kind_of("optimizer", {"name": "own.py:Rule"}) is None


def test_signal_norm_and_snr_stand_for_each_other():
    assert alternatives(DATA["signal_noise"]) == ("signal_norm", "snr")
    assert alternatives(New) == ()
