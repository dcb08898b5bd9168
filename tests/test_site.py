"""`make docs`: the site builds strictly, loads nothing from elsewhere, and opens in a browser."""

import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import typer
from browser import page
from documents import ROOT

import featlearn as fl
from featlearn.cli import app
from featlearn.config import describe, reference
from featlearn.config.catalogue import KINDS
from featlearn.functions.activations import ACTIVATIONS
from featlearn.functions.losses import LOSSES

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}


class Page(HTMLParser):
    """What a page loads, and to what it links."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.links, self.tags = [], [], []
        self.text = path.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        if LOADED.get(tag) in found:
            self.loads.append(found[LOADED[tag]])
        if tag == "a" and "href" in found:
            self.links.append((found["href"].split("#")[0], found.get("class") or ""))


def build(root, out):
    """Call MkDocs as `make docs` does."""
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", out]
    return subprocess.run(call, cwd=root, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT, out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site):
    return {str(path.relative_to(site)): Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_a_broken_link_fails_the_build(tmp_path):
    """Negative control."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("mkdocs.yml", "analysis", "configs", "featlearn", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    with (tmp_path / "docs" / "limits.md").open("a") as file:
        file.write("\n[page](nowhere.md) [file](../configs/nowhere.yaml) [anchor](start.md#nowhere)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1 and "Aborted with 3 warnings in strict mode" in done.stdout + done.stderr
    assert all(word in done.stderr for word in ("nowhere.md", "nowhere.yaml", "start.md#nowhere"))


def test_no_page_loads_anything_from_elsewhere(site, pages):
    for name, found in pages.items():
        assert [link for link in found.loads if re.match(r"\w+:|//", link) and not link.startswith("data:")] == [], name
    for style in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?(?:https?:)?//", style.read_text()) == [], style


def test_every_page_is_reachable_from_the_navigation(pages):
    in_navigation = {link for link, kind in pages["index.html"].links if "md-nav__link" in kind}
    assert len(pages) > 20 and {*pages} - {"index.html"} <= in_navigation


def test_files_outside_docs_are_copied(site):
    assert (site / "analysis" / "early_noise_learning.py.txt").read_text().startswith("# ---")
    assert (site / "analysis" / "figures" / "chen2023_theorem.png").is_file()


def test_formulas_are_mathml(pages):
    counts = {name: found.tags.count("math") for name, found in pages.items()}
    assert counts["engine.html"] > 50 and counts["model.html"] > 30
    assert not any("arithmatex" in found.text for found in pages.values())


def test_every_key_and_word_is_on_its_page(pages):
    text = pages["reference/config.html"].text
    assert [key.name for key in reference() if f"<code>{key.name}</code>" not in text] == []
    for kind in KINDS:
        text = pages[f"reference/{kind}.html"].text
        assert [entry.name for entry in describe(kind) if f'<h2 id="{entry.name}">' not in text] == []
    text = pages["reference/commands.html"].text
    words = [*typer.main.get_command(app).commands, *(f"plot {kind}" for kind in fl.plots.KINDS)]
    assert [word for word in words if f">featlearn {word}<" not in text] == []
    text = pages["reference/functions.html"].text
    assert [name for name in (*ACTIVATIONS, *LOSSES) if f"<code>{name}</code>" not in text] == []


PYTHON = {"python": fl, "tables": fl.tables, "plots": fl.plots, "theory": fl.theory}


@pytest.mark.parametrize("name", PYTHON)
def test_every_public_name_is_on_its_page(pages, name):
    functions = [word for word in PYTHON[name].__all__ if callable(getattr(PYTHON[name], word))]
    headings = {*re.findall(r'<h[23] id="[\w.]*?(\w+)"', pages[f"reference/{name}.html"].text)}
    assert functions and [word for word in functions if word not in headings] == []


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_open_in_a_browser(address, scheme):
    """Without a message in the console; formulas have their font; nothing is wider than the window; search finds."""
    with page(color_scheme=scheme, viewport={"width": 1280, "height": 900}) as opened:
        for name in ("index", "engine"):
            opened.goto(f"{address}/{name}.html")
            opened.wait_for_load_state("networkidle")
            shown = opened.evaluate("document.body.dataset.mdColorScheme")
            assert shown == {"light": "default", "dark": "slate"}[scheme]
            assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert opened.evaluate("[...document.fonts].map(font => font.status)") == ["loaded"]
        opened.get_by_placeholder("Search").first.click()
        opened.keyboard.type("sharpness")
        opened.wait_for_selector(".md-search-result__item")
