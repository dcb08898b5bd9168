"""The style stays inside its block, and every public column has a label."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
import seaborn as sns

from featlearn.optim import OPTIMIZERS
from featlearn.plots.panels import panels
from featlearn.plots.style import (
    DARK,
    NAMES,
    PALETTE,
    WHITE,
    diverging,
    fresh,
    label,
    marker,
    on_dark,
    page,
    paper,
    sequential,
    title,
)
from featlearn.tables.labels import Label

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


def test_the_style_does_not_depend_on_the_callers():
    with mpl.rc_context({"text.usetex": True, "savefig.bbox": "tight", "axes.grid": True, "savefig.transparent": True}):
        with paper():
            assert not mpl.rcParams["text.usetex"] and mpl.rcParams["savefig.bbox"] is None
            assert not mpl.rcParams["axes.grid"] and not mpl.rcParams["savefig.transparent"]
        assert mpl.rcParams["text.usetex"] and mpl.rcParams["savefig.bbox"] == "tight"


def test_keys_without_words_are_shown_as_they_are_written():
    assert label("optimizer.lr_schedule.steps") == "optimizer.lr_schedule.steps"
    assert label("optimizer.rho.theory") == r"SAM radius $\rho$, in units of theory"


def test_the_colours_are_those_of_seaborn():
    assert [mpl.colors.to_hex(colour) for colour in sns.color_palette("colorblind")] == [*PALETTE]
    ours = sequential()(np.linspace(0, 1, 256))
    theirs = sns.color_palette("mako_r", as_cmap=True)(np.linspace(0, 0.92, 256))
    assert np.abs(ours - theirs).max() < 0.02
    red, _, blue, _ = diverging()(0.95)
    assert red > 2 * blue


def luminance(colours):
    """The relative luminance of colours (WCAG 2), 0 to 1."""
    c = np.asarray([mpl.colors.to_rgb(colour) for colour in colours])
    return np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    low, high = sorted(luminance([a, b]))
    return (high + 0.05) / (low + 0.05)


def test_the_colours_of_a_quantity_are_monotone_in_grey():
    assert (np.diff(luminance(sequential()(np.linspace(0, 1, 64)))) < 0).all()


@pytest.mark.parametrize("sheet", [WHITE, DARK])
def test_words_and_lines_are_seen_on_their_page(sheet):
    assert contrast(sheet.ink, sheet.ground) > 12 and contrast(sheet.grey, sheet.ground) > 4.5
    assert min(contrast(colour, sheet.ground) for colour in sheet.palette[: 4 if sheet is WHITE else 10]) > 2.2
    assert len({*sheet.palette}) == 10


def test_a_dark_page_ends_with_its_block():
    with paper(dark=True):
        assert page() is DARK and mpl.rcParams["figure.facecolor"] == DARK.ground
        _, (ax,) = panels(1)
        assert on_dark(ax) and ax.xaxis.label.get_color() == DARK.ink
        assert fresh(ax) == [*DARK.palette] and len({*map(marker, fresh(ax))}) == 10
    with paper():
        assert page() is WHITE and not on_dark(panels(1)[1][0])


def test_lines_of_a_second_call_have_other_colours():
    _, (ax,) = panels(1)
    assert fresh(ax) == [*PALETTE]
    ax.plot([0, 1], color=PALETTE[0])
    ax.plot([0, 1], color=PALETTE[2])
    assert fresh(ax)[:2] == [PALETTE[1], PALETTE[3]] and {*fresh(ax)} == {*PALETTE}


def test_importing_changes_no_setting_and_needs_no_torch():
    code = """
import sys, matplotlib
before = matplotlib.rcParams.copy()
import featlearn.plots
changed = {key for key in before if matplotlib.rcParams[key] != before[key]}
assert changed <= {"backend"}, changed  # reading it is what settles it
assert not {"torch", "seaborn", "scipy.stats"} & {*sys.modules}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("column", COLUMNS.split())
def test_words_have_no_underscores_outside_mathematics(column):
    assert "_" not in "".join(label(column).split("$")[::2])


def test_every_label_can_be_typeset():
    with paper():
        figure, (ax,) = panels(1, in_a_row=1)
        sam = title(Label("sam", {"rho": "0.03", "cost": "5$"}))
        ax.set_title(" ".join(label(column) for column in COLUMNS.split()) + sam)
        figure.draw_without_rendering()


def test_titles():
    assert title(Label("sgd")) == "SGD"
    assert title(Label("f_sam")) == "F-SAM"
    assert title(Label("msam", {"micro_batch_size": "5"})) == "mSAM, micro batch size = 5"
    assert title(Label("my_rules.py:MySAM", {"rho": "1"})) == r"MySAM, $\rho$ = 1"
    assert title(Label("my rules.py:MySAM", {"words": "a = b c"})) == "MySAM, words = a = b c"
    assert title(Label("my_rules.py:MySAM", {"source": "859008a3aaa5426c"})) == "MySAM, source = 859008a"
    assert title(Label("sam", {"rho": "0.03", "stop": "40"})) == r"SAM, $\rho$ = 0.03, stop = 40"
    assert title(Label("sam sde", {"rho": "0.03"})) == r"SAM SDE, $\rho$ = 0.03"
    assert [title(Label(name)) for name in ("n_sam flow", "my rules.py:MySAM sde")] == ["n-SAM flow", "MySAM SDE"]
    assert title(Label("sam", {"rho.theory": "0.5"})) == "SAM, $\\rho$ = 0.5 × theory"


def test_names_are_those_of_optimizers():
    assert {*NAMES} <= {*OPTIMIZERS}


def test_the_error_of_a_kind_is_labelled_by_its_name():
    assert label("test_error.minority") == "test error, minority"
    assert label("test_error.a$") == r"test error, a\$"
