"""The page in a real Chromium: no console error, nothing asked of the network, switches, pointer, keyboard, print.

One browser and one page for most of it; the store is that of all tests of reports, with hostile names.
"""

import pytest
from browser import page
from small_report import EVIL, small_store

import featlearn as fl
from featlearn.plots.style import GLOW, PALETTE


@pytest.fixture(scope="module")
def file(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    small_store(out / "flat", axes=0, evil=False)
    small_store(out / "line", axes=1, evil=False)
    return fl.report([folder, out / "flat", out / "line"], out / "report.html", title=EVIL)


@pytest.fixture(scope="module")
def opened(file):
    with page(viewport={"width": 1000, "height": 800}) as window:
        window.goto(file.as_uri())
        window.wait_for_selector("#sweep1 .trajectories svg")
        window.wait_for_selector("#glance .plots svg")
        yield window


def readout(opened):
    return opened.locator("#sweep1 .readout").inner_text()


def test_one_panel_for_every_optimizer_and_hostile_names_as_text(opened):
    assert opened.locator("#sweep1 .plots > svg").count() == 2
    assert opened.locator("#sweep1 h2").inner_text() == EVIL and opened.title() == EVIL
    assert opened.locator("img").count() == 0
    assert EVIL in opened.locator("#sweep1 select").first.inner_text()


def test_the_numbers_of_the_curves_are_read_back(opened):
    """The packed curves: noise coefficients are .1 step + seed, whose median over four seeds is .1 step + 1.5."""
    script = "explorers[0].unpack('noise_coef_pos_mean').then(all => [...all.slice(0, 18)])"
    steps = (0, 1, 2, 5, 10, 20)
    assert opened.evaluate(script)[6:12] == pytest.approx([0.1 * step + 1.5 for step in steps], rel=1e-4)


def test_the_switch_shows_one_optimizer_or_a_difference(opened):
    opened.get_by_label("SGD − SAM").first.check()
    assert opened.locator("#sweep1 .plots > svg").count() == 1
    assert opened.locator("#sweep1 .plots .title").text_content() == "SGD − SAM"
    assert "pairs" in readout(opened)
    opened.locator("#sweep1 input[value=o1]").check()
    assert opened.locator("#sweep1 .plots .title").text_content() == "SAM"
    opened.locator("#sweep1 input[value=all]").check()


def test_quantities_moments_and_axes_are_chosen(opened):
    opened.locator("#sweep1 select").first.select_option("noise_coef_pos_mean")
    opened.locator("#sweep1 input[value=loss]").check()
    assert "noise coefficient, mean, where the train loss first reaches 0.01" in readout(opened)
    opened.locator("#sweep1 select[name=sweep1-x]").select_option("1")
    assert opened.locator("#sweep1 select[name=sweep1-y]").input_value() == "0"
    assert opened.locator("#sweep1 .plots .label").first.text_content() == "dimension d"
    opened.locator("#sweep1 select[name=sweep1-y]").select_option("-1")
    assert opened.locator("#sweep1 .plots .line").count() == 2
    for name, value in (("x", "0"), ("y", "1"), ("quantity", "test_error")):
        opened.locator(f"#sweep1 select[name=sweep1-{name}]").select_option(value)
    opened.locator("#sweep1 input[value=last]").check()


def at(opened, x, y):
    """The point of the screen at shares of the first panel's box, from its left and its bottom."""
    panel = opened.locator("#sweep1 .plots .box").first
    panel.scroll_into_view_if_needed()
    box = panel.bounding_box()
    return box["x"] + x * box["width"], box["y"] + (1 - y) * box["height"]


def test_the_pointer_reads_a_cell_with_interval_seeds_and_ends(opened):
    opened.mouse.move(*at(opened, 0.5, 0.25))
    assert "signal norm ‖μ‖ = 2, dimension d = 60" in readout(opened)
    assert "SGD: 0.291 [0.270, 0.312]" in readout(opened) and "4 seeds" in readout(opened)
    assert "SGD − SAM: 0.1, 4 pairs" in readout(opened)
    opened.mouse.move(*at(opened, 0.95, 0.95))
    assert "3 seeds, 1 diverged" in readout(opened) and "3 seeds, 1 failed" in readout(opened)


def test_an_interval_of_a_share_is_within_0_and_1(opened):
    texts = [opened.evaluate(f"withInterval(0.06, 0.69, {share})") for share in ("true", "false")]
    assert texts == ["0.06 [0.00, 0.75]", "0.06 [−0.63, 0.75]"]


def test_a_click_shows_the_trajectories_of_the_cell(opened):
    opened.mouse.click(*at(opened, 0.1, 0.25))
    assert opened.locator("#sweep1 .cell-name").inner_text() == "Trajectories at signal norm ‖μ‖ = 1, dimension d = 60"
    assert opened.locator("#sweep1 .trajectories > svg").count() == 3
    strokes = {line.get_attribute("stroke") for line in opened.locator("#sweep1 .trajectories .line").all()}
    assert strokes == {"var(--line0)", "var(--line1)"}
    curves = opened.locator("#sweep1 .trajectories > svg").first
    curves.scroll_into_view_if_needed()
    box = curves.bounding_box()
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert "noise coefficient, mean: SGD" in opened.locator("#sweep1 .cell-readout").inner_text()


def test_the_keyboard_moves_and_opens(opened):
    figure = opened.locator("#sweep1 .plots")
    figure.focus()
    for key in ("Home", "ArrowRight", "ArrowUp", "ArrowUp"):
        figure.press(key)
    assert "signal norm ‖μ‖ = 2, dimension d = 600" in readout(opened)
    figure.press("Enter")
    assert "= 2, dimension d = 600" in opened.locator("#sweep1 .cell-name").inner_text()
    assert figure.get_attribute("role") == "application" and figure.get_attribute("aria-label")
    assert opened.locator("#sweep1 .readout").get_attribute("aria-live") == "polite"


def test_the_numbers_are_there_as_tables(opened):
    opened.locator("#sweep1 .numbers summary").click()
    opened.wait_for_selector("#sweep1 .numbers table")
    tables = opened.locator("#sweep1 .numbers table")
    assert (
        tables.count() == 2
        and "0.291 ± 0.021 (4)" in tables.first.inner_text()
        and tables.first.locator("tr").count() == 3
    )


def test_a_sweep_without_axes_is_a_table_and_one_axis_is_curves(opened):
    cells = opened.locator("#sweep2 .plots table").inner_text()
    assert "test error" in cells and "SGD − SAM" in cells and "0.391" in cells
    assert opened.locator("#sweep2 .trajectories > svg").count() == 3
    assert opened.locator("#sweep3 .plots .line").count() == 2 and opened.locator("#sweep3 .plots circle").count() == 6


def test_the_first_picture_shows_all_sweeps(opened):
    panels = opened.locator("#glance .plots .title").all_text_contents()
    assert panels[:2] == ["(a) test error (observed labels), SGD", "(b) test error (observed labels), SAM"]
    assert panels[2:] == ["(c) noise coefficient, mean", "(d) test error (observed labels)"]
    assert opened.locator("nav a").count() == 3


STROKES = "[...document.querySelectorAll('#sweep1 .trajectories .line')].map(line => getComputedStyle(line).stroke)"


def rgb(colours):
    return {f"rgb({', '.join(str(int(colour[k : k + 2], 16)) for k in (1, 3, 5))})" for colour in colours}


def test_dark_light_and_paper(opened):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = opened.evaluate(colour)
    assert {*opened.evaluate(STROKES)} == rgb(PALETTE[:2])
    opened.locator("#theme").click()
    dark = opened.evaluate(colour)
    assert {*opened.evaluate(STROKES)} == rgb(GLOW[:2])
    assert light != dark and opened.locator("#theme").get_attribute("aria-pressed") == "true"
    assert opened.pdf(format="A4").startswith(b"%PDF")
    opened.emulate_media(media="print")
    assert not opened.locator("#sweep1 .controls").is_visible()
    assert opened.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(28, 28, 30)"
    opened.emulate_media(media="screen", color_scheme="dark")
    opened.evaluate("delete document.documentElement.dataset.theme")
    assert opened.evaluate(colour) == dark


def test_a_narrow_screen_does_not_scroll_sideways(opened):
    opened.set_viewport_size({"width": 400, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 400
