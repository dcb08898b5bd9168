"""The command `featlearn report`."""

import pytest
from small_report import small_store
from typer.testing import CliRunner

from featlearn.cli import app


def call(*words):
    return CliRunner().invoke(app, ["report", *map(str, words)])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("reporting") / "s"
    small_store(path, axes=0, evil=False)
    return path


def test_it_prints_the_path_last(store, tmp_path):
    done = call(store, "-o", tmp_path / "a.html", "--title", "Mine")
    assert done.exit_code == 0 and done.output.splitlines()[-1] == str(tmp_path / "a.html")
    assert "<title>Mine</title>" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    ("out", "message"), [("a.pdf", "a report is an .html file"), ("taken.html", "no report of featlearn")]
)
def test_a_wrong_file_is_refused_with_one_line(store, tmp_path, out, message):
    (tmp_path / "taken.html").write_text("mine")
    done = call(store, "-o", tmp_path / out)
    assert done.exit_code == 2 and message in done.output and len(done.output.splitlines()) == 1
    assert (tmp_path / "taken.html").read_text() == "mine"


def test_no_store_is_refused_with_one_line(tmp_path):
    done = call(tmp_path / "none", "-o", tmp_path / "a.html")
    assert done.exit_code == 2 and "no store at" in done.output and not (tmp_path / "a.html").exists()
