import time

import pytest

from featlearn.config import load_config
from featlearn.explore.limits import TooMuch, limited, refuse_large
from featlearn.pace import COMPILING, report_progress


def test_what_takes_too_long_ends():
    with pytest.raises(TooMuch, match=r"more than 0\.01 s"), limited(0.01):
        report_progress(0.0)
        time.sleep(0.02)
        report_progress(0.5)


def test_compiling_does_not_count():
    with limited(0.05):
        report_progress(COMPILING)
        time.sleep(0.1)
        report_progress(0.1)
        report_progress(0.2)


def test_a_run_that_needs_too_much_memory_is_refused():
    def base(**data):
        return load_config(
            {"data": {"signal_norm": 1.0, **data}, "train": {"n_steps": 1}, "optimizer": {"name": "sgd", "lr": 1.0}}
        ).base_run()

    refuse_large(base(dim=10**12))
    with pytest.raises(TooMuch, match="too large for this page"):
        refuse_large(base(n_samples=200, n_patches=50, noise="independent"))
