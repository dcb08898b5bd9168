"""What a user's code or file names say cannot steer a terminal."""

import pytest
from fakes import FakeConfig
from typer.testing import CliRunner

from featlearn.cli import app
from featlearn.escapes import printable
from featlearn.store import Store, StoreWarning, failed_rows, summary


def test_escape_codes_are_shown_and_lines_are_kept():
    assert printable("a\x1b[31mb\nc\td\u202e") == "a\\x1b[31mb\nc\\td\\u202e"
    assert printable("\u03c1 = 0.1 \N{GREEK SMALL LETTER ETA}") == "\u03c1 = 0.1 \N{GREEK SMALL LETTER ETA}"


def test_no_command_prints_the_escape_codes_of_a_store(tmp_path):
    """A rule's message, a file's name."""
    store, runs = Store.create(tmp_path / "s", "test"), list(FakeConfig((1,)).runs())
    store.add_plan([run.run_id for run in runs], "{}")
    store.add_part(failed_rows(runs, "Error: \x1b]0;mine\x07"), {})
    (tmp_path / "s" / "parts" / "\x1b[31m.parquet").write_text("foreign")
    for call in (["status"], ["compact"], ["rerun"], ["merge", "-o", str(tmp_path / "t")]):
        said = CliRunner().invoke(app, [*call, str(tmp_path / "s"), *[runs[0].run_id] * (call == ["rerun"])]).output
        assert "\x1b" not in said and "\x07" not in said
        assert call != ["status"] or ("Error: \\x1b]0;mine\\x07" in said and "\\x1b[31m.parquet" in said)
    with pytest.warns(StoreWarning, match=r"\\x1b\[31m"):
        summary(tmp_path / "s")
