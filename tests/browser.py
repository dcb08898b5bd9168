"""A headless Chromium for tests of pages: the system's own (Debian's package chromium), driven by playwright.

Tests are skipped where no Chromium is installed; where FEATLEARN_BROWSER is set, as in .ci/run, they fail instead.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, sync_playwright

FLAGS = [  # without the last ones Chromium looks up its maker's hosts at every start
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """Return the path of an installed Chromium; skip the test if there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        (pytest.fail if os.environ.get("FEATLEARN_BROWSER") else pytest.skip)("needs Chromium")
    return found


@contextmanager
def page(**context) -> Iterator[Page]:
    """Open an empty page; `context` are playwright's options, such as color_scheme="dark" or viewport.

    Raises AssertionError at the end if the page wrote an error or a warning to its console, raised an exception, or
    asked for something outside the machine.
    """
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as driver:
        window = driver.chromium.launch_persistent_context(
            profile, executable_path=chromium(), args=FLAGS, headless=True, **context
        )
        try:
            opened = window.new_page()
            complaints = []
            opened.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else 0)
            opened.on("pageerror", lambda error: complaints.append(str(error)))
            opened.on("request", lambda request: complaints.append(request.url) if _leaves(request.url) else 0)
            yield opened
            assert not complaints, complaints
        finally:
            window.close()


def _leaves(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:", "about:", "http://127.0.0.1:", "http://localhost:"))
