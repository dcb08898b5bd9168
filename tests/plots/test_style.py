"""The style stays inside its block, and every public column has words."""

import subprocess
import sys

import matplotlib as mpl
import pytest

from featlearn.optim import OPTIMIZERS
from featlearn.plots.panels import panels
from featlearn.plots.style import NAMES, label, paper, title

COLUMNS = """
train_loss train_error grad_norm test_error test_error_true signal_coef_max signal_coef_mean noise_coef_pos_max
noise_coef_pos_mean noise_coef_neg_min noise_coef_neg_mean noise_deactivated signal_kept sharpness
data.signal_norm data.dim data.snr data.n_samples data.flip_prob optimizer.rho optimizer.lr step
"""


def test_the_style_ends_with_its_block():
    before = mpl.rcParams.copy()
    with paper():
        assert mpl.rcParams["font.family"] == ["STIXGeneral"]
    assert mpl.rcParams == before


def test_importing_changes_no_setting_and_needs_no_torch():
    code = """
import sys, matplotlib
before = matplotlib.rcParams.copy()
import featlearn.plots
changed = {key for key in before if matplotlib.rcParams[key] != before[key]}
assert changed <= {"backend"}, changed  # reading it is what settles it
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("column", COLUMNS.split())
def test_words_have_no_underscores_outside_mathematics(column):
    assert "_" not in "".join(label(column).split("$")[::2])


def test_every_label_can_be_typeset():
    with paper():
        figure, (ax,) = panels(1, in_a_row=1)
        ax.set_title(" ".join(label(column) for column in COLUMNS.split()) + title("sam rho=0.03 stop=40"))
        figure.draw_without_rendering()


def test_titles():
    assert title("sgd") == "SGD"
    assert title("f_sam") == "F-SAM"
    assert title("msam micro_batch_size=5") == "mSAM, micro batch size = 5"
    assert title("my_rules.py:MySAM rho=1") == r"MySAM, $\rho$ = 1"
    assert title("my_rules.py:MySAM source=859008a3aaa5426c") == "MySAM, source = 859008a"
    assert title("sam rho=0.03 stop=40") == r"SAM, $\rho$ = 0.03, stop = 40"
    assert title("sam rho.theory=0.5") == "SAM, $\\rho$ = 0.5 × theory"  # noqa: RUF001  a times sign is meant


def test_names_are_those_of_optimizers():
    assert {*NAMES} <= {*OPTIMIZERS}
