"""Pages of Markdown, executed: README.md and docs/.

Blocks run in the order of the page, in one folder: a yaml block, or a python block that begins with "# name.py", is
written under the name in its first line; lines of bash are called in this process; python runs in one namespace per
page; text is not run.
"""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

from typer.testing import CliRunner

from featlearn.cli import app

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\w+\.(?:py|yaml))\n")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def pages():
    """Every page with a block, by its path in the repository."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [str(path.relative_to(ROOT)) for path in found if BLOCK.search(path.read_text())]


def blocks(page):
    """The blocks of a page: language and text."""
    return BLOCK.findall((ROOT / page).read_text())


def write(page, folder):
    """Write the files that a page shows."""
    for _, text in blocks(page):
        if named := NAMED.match(text):
            (folder / named[1]).write_text(text)


def run(page, folder, monkeypatch):
    """Run the blocks of a page in the folder; return the names that its Python has defined."""
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "page", type(sys)("page"))
    names = {"__name__": "page"}
    for number, (language, text) in enumerate(blocks(page)):
        if named := NAMED.match(text):
            (folder / named[1]).write_text(text)
        elif language == "python":
            exec(compile(text, f"{page}, block {number}", "exec"), names)
        elif language == "bash":
            for line in text.splitlines():
                call(shlex.split(line, comments=True))
        else:
            assert language == "text", f"{page}: block {number} is {language or 'of no language'}, and has no file name"
    return names


def call(words):
    """Call the command of a line."""
    match words:
        case [] | [".", ".venv/bin/activate"]:
            return
        case ["make", *targets]:
            subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True)
        case ["pip", "install", what]:
            assert re.fullmatch(r"featlearn\[(\w+)\]", what)[1] in EXTRAS
        case ["featlearn", *rest]:
            done = CliRunner().invoke(app, rest)  # processes of its own: tests/test_cli.py
            assert done.exit_code == 0, (words, done.output, done.exception)
        case _:
            raise AssertionError(f"no test knows how to run {' '.join(words)}")
