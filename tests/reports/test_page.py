"""The page as text: one file, everything escaped, nothing overwritten. How it behaves: test_browser.py."""

import json
import re
from html.parser import HTMLParser

import pytest
from small_report import EVIL

import featlearn as fl
from featlearn.reports.page import colours, flat, render, rich, script_json
from featlearn.reports.sections import section
from featlearn.reports.trajectories import MOST_NUMBERS


@pytest.fixture(scope="module")
def text(source):
    return render([section(source, 1)])


class Elements(HTMLParser):
    """Collects the names of elements, and every address."""

    def __init__(self, text):
        super().__init__()
        self.names, self.addresses = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]


def lists(data):
    """Every list of numbers in JSON."""
    if isinstance(data, dict):
        return [part for value in data.values() for part in lists(value)]
    if isinstance(data, list) and data and isinstance(data[0], dict | list):
        return [part for value in data for part in lists(value)]
    return [data] if isinstance(data, list) else []


def test_names_and_messages_are_escaped_everywhere(text):
    found = Elements(text)
    assert text.count(EVIL) == 0 and "img" not in found.names and found.names.count("script") == 2
    assert text.count("&lt;/script&gt;&lt;img") >= 5  # heading, title, options, failure, provenance, config


def test_the_data_are_json_that_cannot_end_its_element(text):
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(data)["sections"][0]["name"] == EVIL and "<" not in data
    assert json.loads(script_json({"a": "</script>\u2028&"})) == {"a": "</script>\u2028&"}


def test_nothing_is_loaded_from_elsewhere(text):
    assert all(re.match("#|data:", address) for address in Elements(text).addresses)
    assert not re.search(r"@import|url\((?!data:|#|`#)", text)


def test_raised_and_lowered_signs_are_the_only_markup_of_words():
    assert rich("σ_{p} <b>^{2}") == "σ<sub>p</sub> &lt;b&gt;<sup>2</sup>" and flat("σ_{p}^{2}") == "σp2"


def test_the_colours_are_those_of_the_figures():
    assert colours()["diverging"][5] in ("#f7f7f7", "#f6f7f7", "#f7f6f6") and len(colours()["sequential"]) == 16


def test_size_of_40_by_40_cells_2_optimizers_and_10_quantities(text, source):
    """The numbers of a quantity in a cell, as many as that, the curves at their most, and all the rest."""
    data = section(source, 1).data
    numbers = [
        *lists(data["grids"]["last"]["test_error"]["means"]),
        *lists(data["grids"]["last"]["test_error"]["differences"]),
    ]
    of_a_cell = 2 * sum(len(script_json(part)) for part in numbers if len(part) == 6) / 6  # at two moments
    rest = len(text) - len(script_json(data))
    assert of_a_cell * 1600 * 10 + 2.7 * MOST_NUMBERS + rest < 5e6


def test_a_report_is_written_and_replaced_and_nothing_else_is(folder, tmp_path):
    out = tmp_path / "new" / "a.html"
    assert fl.report(folder, out, title="A & B") == out and "<h1>A &amp; B</h1>" in out.read_text()
    fl.report([folder], str(out))
    other = tmp_path / "mine.html"
    other.write_text("<p>mine</p>")
    with pytest.raises(ValueError, match="no report of featlearn"):
        fl.report(folder, other)
    fl.report(folder, other, force=True)
    with pytest.raises(ValueError, match=r"\.html"):
        fl.report(folder, tmp_path / "a.pdf")
    with pytest.raises(ValueError, match="needs a store"):
        fl.report([], out)
