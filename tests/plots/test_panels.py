"""Panels share their axes, and headings do not collide."""

import pytest
from matplotlib import pyplot as plt

from featlearn.plots.panels import heading, legend_below, panels
from featlearn.plots.style import paper, title


@pytest.mark.parametrize(("n", "shape"), [(1, (1, 1)), (2, (1, 2)), (4, (2, 3))])
def test_panels_share_their_axes(n, shape):
    figure, axes = panels(n, in_a_row=3)
    assert len(axes) == len(figure.axes) == n
    assert axes[0].get_subplotspec().get_gridspec().get_geometry() == shape
    axes[0].set_ylim(3, 4)
    assert all(ax.get_ylim() == (3, 4) for ax in axes)


@pytest.mark.parametrize(
    "optimizer",
    [
        "sgd",
        "sam rho=0.03",
        "msam micro_batch_size=5",
        "sam rho.theory=0.25 stop=400",
        "my_rules.py:MySAM source=859008a3aaa5426c",
        "my_rules.py:MemorySAMWithFriends",
        "sam lr=0.02 rho=0.03 data.signal_norm=2 data.dim=16000 network.n_filters=10",
    ],
)
def test_headings_do_not_collide_in_a_row_of_three(optimizer):
    with paper():
        figure, axes = panels(3, in_a_row=3)
        heading(axes[0], title(optimizer), "8 to 10 seeds")
        figure.draw_without_rendering()
        left, right = axes[0]._left_title, axes[0]._right_title
        assert left.get_window_extent().x1 < axes[1].get_window_extent().x0
        left.set_text(left.get_text().rpartition("\n")[2])  # the line that stands beside the right one
        assert left.get_window_extent().x1 < right.get_window_extent().x0


def test_a_legend_lies_below_the_words_of_the_axis():
    with paper():
        figure, (ax,) = panels(1, in_a_row=1)
        legend_below(ax)
        assert ax.get_legend() is None
        ax.plot([0, 1], label="line")
        ax.set_xlabel("step")
        legend_below(ax)
        figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0
    plt.close(figure)
