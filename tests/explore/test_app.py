"""Every request of the page: answers, refusals, and from where it may come."""

import asyncio
from http.client import HTTPConnection
from urllib.parse import urlencode

import numpy as np
import pytest
from explore.conftest import SMALL
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from featlearn.config import load_config
from featlearn.config.source import read_yaml
from featlearn.explore.app import FILES, HEADERS, Explorer
from featlearn.explore.controls import SHOWN, choices, controls
from featlearn.explore.limits import TooMuch
from featlearn.simulation import simulate_block
from featlearn.sweeps.blocks import blocks


def swept(text):
    """Return the runs of a config, as `featlearn sweep` computes them."""
    runs = list(load_config(read_yaml(text, "page.yaml").plain).runs())
    return [trajectory for block in blocks(runs, "cpu") for trajectory in simulate_block(block)]


def test_the_files_of_the_page_and_the_headers_that_keep_the_browser_to_it(page):
    for path in FILES:
        status, body = page.ask(path)
        assert status == 200 and body
    for name, value in HEADERS.items():
        assert page.headers[name.decode()] == value.decode()
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "access-control-allow-origin" not in page.headers
    assert page.ask("/../../pyproject.toml")[0] == page.ask("/page.css/..%2f..%2fapp.py")[0] == 404


def test_every_data_model_and_rule_is_offered_with_the_parameters_of_its_class(page):
    about = {section["name"]: section for section in page.json("/controls")["sections"]}
    assert [*about] == [*SHOWN]
    for name in ("data", "optimizer"):
        assert {*about[name]["kinds"]} == {*choices(name)}
    sam = {one["key"]: one for one in about["optimizer"]["kinds"]["sam"]["controls"]}
    assert (
        sam["optimizer.rho"]["doc"].startswith("radius of the perturbation")
        and sam["optimizer.stop"]["empty"] == "null"
    )
    assert page.json("/controls")["start"]["optimizer.stop"] == "2"


def test_dynamics_are_those_of_the_config_that_the_button_gives(page):
    query = "data.dim=1000000000000&seeds=2&data.flip_prob=0.1"
    found = page.json(f"/dynamics?{query}")
    status, text = page.ask(f"/yaml?kind=dynamics&{query}")
    assert status == 200 and "attachment" in page.headers["content-disposition"]
    expected = swept(text.decode())
    assert [panel["title"] for panel in found["panels"]] == ["SGD", "SAM"] and found["phase"] == [2]
    shown = [run for panel in found["panels"] for run in panel["runs"]]
    assert len(shown) == len(expected) == 4
    for run, trajectory in zip(shown, expected, strict=True):
        for name, values in trajectory.values.items():
            assert run[name] == values.tolist()  # bit by bit


@pytest.mark.parametrize("axes", ["", "&x=optimizer.rho&x.low=0&x.high=0.5", "&x=data.snr&y=optimizer.lr"])
def test_a_cell_is_the_mean_over_the_seeds_of_the_sweep_that_the_button_gives(page, axes):
    query = f"cells=12&seeds=2{axes}"
    found = page.json(f"/phase?{query}")
    expected = swept(page.ask(f"/yaml?kind=phase&{query}")[1].decode())
    for panel in found["panels"]:
        word = panel["title"].lower()
        cells = {}
        for t in expected:
            columns = t.run.columns()
            if columns["optimizer.name"] == word:
                at = tuple(columns.get(found[axis]["key"]) if panel[axis] != [None] else None for axis in "xy")
                cells.setdefault(at, []).append(t.values["test_error"][-1])
        means = panel["means"]["test_error"]
        assert len(cells) == len(panel["x"]) * len(panel["y"]) == np.size(means)
        for j, y in enumerate(panel["y"]):
            for i, x in enumerate(panel["x"]):
                assert means[j][i] == pytest.approx(np.mean(cells[x, y]), rel=1e-14)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("data.dim=1", "data.dim: expected an integer >= 2 and <= 1000000000000000, found 1"),
        ("data.dim=many", 'data.dim: expected an integer >= 2 and <= 1000000000000000, found "many"'),
        ("data.dim=010", "data.dim: 010 has a leading zero: drop it, or quote it as text"),
        ("data.model=signal_nois", "did you mean 'signal_noise'?"),
        ("optimizer.start=9&optimizer.stop=null", "optimizer.start: expected an integer < train.n_steps = 3, found 9"),
        ("data.signal_norm=1&data.snr=1&x=data.noise_std", "give exactly one of signal_norm and snr"),
        ("optimizer.name=torch_optim", "missing: expected text"),
        ("optimizer.cls=os.system", "optimizer.cls: no key of this page"),
        ("extends=/etc/passwd", "extends: no key of this page"),
        ("data.model=rules.py:Model", "expected a built-in word"),
        ("optimizer.base=os:system", "expected a built-in word"),
        ("network.init_std={theory: 1}", "network.init_std: expected a single value"),
        ("data.dim=!!python/object/apply:os.getcwd []", "are not supported"),
        ("data.n_samples=201", "data.n_samples: this page computes at most 200, found 201"),
        ("train.n_steps=2001", "train.n_steps: this page computes at most 2000"),
        ("seeds=11", "seeds: expected an integer from 1 to 10, found 11"),
        ("cells=1000", "cells: expected one of (12, 24, 48), found 1000"),
        ("optimizer.name=adam&data.dim=10000000", "too large for this page"),
        ("x=data.model", "x: no axis"),
        ("x=data.dim&y=data.dim", "y: both axes are data.dim"),
        ("x.low=5&x.high=1", "x.low: expected low < high"),
        ("data.dim=5&data.dim=6", "data.dim: given twice"),
    ],
)
def test_bad_values_are_refused_with_the_sentences_of_a_config(page, query, message):
    for kind in ("dynamics", "phase"):
        path = f"/{kind}?{query.replace(' ', '%20')}"
        assert any(message in problem for problem in page.problems(path)), page.problems(path)


def test_no_file_is_loaded_for_a_request(page, tmp_path):
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Model: pass\n")
    for key in ("data.model", "optimizer.name", "optimizer.base", "network.model", "record.trackers"):
        page.problems(f"/dynamics?{urlencode({key: f'{tmp_path}/own.py:Model'})}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_other_sites_are_refused(page, headers):
    for path in ("/", "/controls", "/dynamics"):
        assert page.ask(path, **headers)[0] == 403
    assert page.ask("/", "POST")[0] == page.ask("/", "OPTIONS")[0] == 403


def test_the_page_itself_is_not(page):
    own = f"127.0.0.1:{page.port}"
    assert page.ask("/controls", Host=own, Origin=f"http://{own}", Sec_Fetch_Site="same-origin")[0] == 200
    assert page.ask("/", Host=f"localhost:{page.port}", Sec_Fetch_Site="none")[0] == 200
    assert page.ask(f"/yaml?kind=phase&x={'x' * 9000}")[0] == 403


FIGURES = [("phase", "png", b"\x89PNG"), ("dynamics", "pdf", b"%PDF"), ("phase", "csv", b"data.")]


@pytest.mark.parametrize(("kind", "form", "first"), FIGURES)
def test_figures_are_those_of_the_package(page, kind, form, first):
    status, body = page.ask(f"/figure?kind={kind}&format={form}&seeds=2")
    assert status == 200 and body.startswith(first)
    assert "exe" in page.problems(f"/figure?kind={kind}&format=exe")[0]


KEYS = [
    one.key for name in ("data", "network", "optimizer") for c in choices(name).values() for one in controls(name, c)
]
OTHERS = ["optimizer.name", "data.model", "train.n_steps", "train.batch_size", "x", "y.low", "seed"]
WORDS = ["null", "sam", "xor", "adam", "true", "full", ".nan", "[1, 2]", "{a: 1}", "a.py:B", "&a b", "softmax"]
NUMBERS = [
    "data.dim",
    "data.signal_norm",
    "data.snr",
    "data.flip_prob",
    "optimizer.lr",
    "optimizer.rho",
    "optimizer.stop",
]
TEXTS = st.integers(-5, 10**7).map(str) | st.floats().map(str) | st.sampled_from(WORDS) | st.text(max_size=8)


@settings(max_examples=70, deadline=None)
@given(st.dictionaries(st.sampled_from([*KEYS, *OTHERS]) | st.text(max_size=6), TEXTS, max_size=5))
def test_no_query_is_answered_by_a_failure(page, query):
    assert page.ask(f"/yaml?kind=phase&{urlencode(query, errors='replace')}")[0] in (200, 400)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(NUMBERS), TEXTS, max_size=3))
def test_nor_is_one_that_computes(page, query):
    assert page.ask(f"/dynamics?{urlencode(query, errors='replace')}")[0] in (200, 400)


def test_a_dropped_request_is_given_up(page):
    connection = HTTPConnection("127.0.0.1", page.port)
    connection.request("GET", "/phase?cells=48&seeds=10&data.n_samples=20")
    connection.close()
    assert page.json("/dynamics")["panels"]


def test_a_phase_diagram_that_takes_too_long_in_all_is_given_up():
    """However many pieces it has, each within its own limit."""

    class Slow:
        async def call_patiently(self, function, *arguments):
            await asyncio.sleep(0.05)
            return {"axes": {}}

    class Asked:
        query_params = QueryParams("")

        async def is_disconnected(self):
            return False

    with pytest.raises(TooMuch, match=r"more than 0\.01 s of computing"):
        asyncio.run(Explorer(SMALL, Slow(), total=0.01).phase(Asked()))
