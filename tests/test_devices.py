"""The device that computes: auto takes CUDA where there is one."""

import pytest

from featlearn.devices import chosen_device


@pytest.mark.parametrize("available", [False, True])
def test_the_device_is_that_asked_for_or_the_best_there_is(available, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: available)
    assert chosen_device("auto") == ("cuda" if available else "cpu") and chosen_device("cpu") == "cpu"
    if available:
        assert chosen_device("cuda") == "cuda"
    else:
        with pytest.raises(ValueError, match="device cuda was requested, but torch finds no CUDA device"):
            chosen_device("cuda")


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda; found 'gpu'"):
        chosen_device("gpu")
