"""Panels share their axes, and headings do not collide."""

import pytest

from featlearn.plots.panels import colour_bar, columns_for, finish, heading, legend_inside, new_word, panels
from featlearn.plots.style import paper, title
from featlearn.tables.labels import Label


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
        Label("sgd"),
        Label("sam", {"rho": "0.03"}),
        Label("msam", {"micro_batch_size": "5"}),
        Label("sam", {"rho.theory": "0.25", "stop": "400"}),
        Label("my_rules.py:MySAM", {"source": "859008a3aaa5426c"}),
        Label("my_rules.py:MemorySAMWithFriends"),
        Label("sam", dict.fromkeys(["lr", "rho", "data.signal_norm", "data.dim", "network.n_filters"], "0.016")),
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


@pytest.fixture
def drawn():
    """Return a function that draws n panels with the same two lines in each, and the words of both axes."""

    def draw(n, **sheet):
        figure, axes = panels(n, sheet)
        for ax in axes:
            ax.plot([0, 1], label="line")
            ax.plot([1, 0], label="other")
            ax.set(xlabel="step", ylabel="loss")
            heading(ax, "SGD", "3 seeds")
        finish(axes, ["A caption of some words."], sheet)
        return figure, axes

    with paper():
        yield draw


def boxes(figure, texts):
    return [text.get_window_extent() for text in texts]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_words_shared_by_all_panels_appear_once(drawn, n):
    figure, axes = drawn(n)
    figure.draw_without_rendering()
    assert [ax.get_xlabel() for ax in axes].count("step") == [ax.get_ylabel() for ax in axes].count("loss") == 1
    legends = [*figure.legends, *(ax.get_legend() for ax in axes if ax.get_legend())]
    assert [[text.get_text() for text in legend.get_texts()] for legend in legends] == [["line", "other"]]
    first, sheet = axes[0], figure.bbox
    words = [first.xaxis.label, first.yaxis.label, legends[0], figure._supxlabel]
    under, beside, legend, caption = (artist.get_window_extent() for artist in words)
    panel = [ax.get_tightbbox() for ax in axes[1:]] + [first.get_window_extent()]
    assert not any(box.overlaps(under) or box.overlaps(beside) for box in panel)
    assert sheet.y0 <= caption.y0 < caption.y1 < legend.y0 < legend.y1 < under.y0 and sheet.x0 <= beside.x0
    left, right = min(ax.bbox.x0 for ax in axes), max(ax.bbox.x1 for ax in axes)
    assert (under.x0 + under.x1) / 2 == pytest.approx((left + right) / 2, abs=1) or n == 1


@pytest.mark.parametrize(("n", "wide"), [(1, False), (2, False), (3, False), (5, True), (4, False), (7, True)])
def test_a_colour_bar_takes_the_place_that_panels_leave_free(n, wide):
    with paper():
        figure, axes = panels(n)
        mesh = axes[0].pcolormesh([[0.0, 1.0]])
        bar = colour_bar(mesh, axes, "error")
        finish(axes, [], {})
        figure.draw_without_rendering()
    box = bar.ax.get_window_extent()
    assert (bar.orientation == "horizontal") == wide == (box.width > box.height)
    assert not any(ax.get_tightbbox().overlaps(box) for ax in axes)
    assert wide or box.height > 0.8 * (axes[0].bbox.y1 - axes[-1].bbox.y0)


def test_the_lowest_panel_of_every_column_has_numbers():
    figure, axes = panels(5)
    figure.draw_without_rendering()
    shown = [any(tick.label1.get_visible() for tick in ax.xaxis.get_major_ticks()) for ax in axes]
    assert shown == [False, False, True, True, True]


def test_a_sheet_has_the_title_and_size_that_are_asked_for(drawn):
    figure, _ = drawn(2, title="5$ and 10$", size=(5.0, 4.0))
    figure.draw_without_rendering()
    assert figure.get_size_inches().tolist() == [5.0, 4.0]
    assert figure._suptitle.get_window_extent().y0 > max(ax.get_tightbbox().y1 for ax in figure.axes)
    assert drawn(1, caption=False)[0].get_supxlabel() == ""
    assert drawn(1, caption=False)[0].get_figheight() < drawn(1)[0].get_figheight()
    with pytest.raises(ValueError, match="is too small for its panels: at least 3x"):
        drawn(3, size=(2.0, 2.0))


@pytest.mark.parametrize(
    ("size", "columns"),
    [(None, 3), ((3.25, None), 1), ((3.25, 6.0), 1), ((3.25, 2.5), 3), ((5.0, None), 2), ((9, 3), 3)],
)
def test_panels_stand_above_each_other_where_the_sheet_is_narrow_and_high(size, columns):
    assert columns_for(3, 3, {"size": size}) == columns
    figure, axes = panels(3, {"size": size})
    assert axes[0].get_subplotspec().get_gridspec().ncols == columns
    assert figure.get_figwidth() == (size[0] if size else 6.9)


def test_the_contents_decide_the_height_of_a_given_width(drawn):
    figure, _ = drawn(2, size=(3.25, None))
    assert figure.get_figwidth() == 3.25 and 4 < figure.get_figheight() < 5


def test_a_label_longer_than_a_low_figure_is_broken():
    with paper():
        figure, axes = panels(2, {"size": (3.25, 1.5)})
        colour_bar(axes[0].pcolormesh([[0.0, 1.0]]), axes, "test error (observed labels)")
        finish(axes, [], {"size": (3.25, 1.5), "caption": False})
        figure.draw_without_rendering()
    label = figure.axes[2].yaxis.label
    assert label.get_text() == "test error\n(observed labels)"
    assert figure.bbox.y0 <= label.get_window_extent().y0 and label.get_window_extent().y1 <= figure.bbox.y1


def test_words_of_a_second_call_differ_from_those_of_the_first():
    _, (ax,) = panels(1)
    for words in ("SAM", "SAM (2)", "SAM (3)"):
        assert new_word(ax, "SAM") == words
        ax.plot([0, 1], label=words)
    legend_inside(ax)
    assert len(ax.get_legend().get_texts()) == 3
