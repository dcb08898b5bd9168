"""The command, its processes and its page in a browser."""

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from browser import page
from typer.testing import CliRunner

from featlearn.cli import app
from featlearn.config import load_config
from featlearn.explore.server import listening

OWN = """
from dataclasses import dataclass
from featlearn.data import FreshPatch, FromPopulation, Kind


@dataclass(frozen=True, kw_only=True)
class Loud(FromPopulation):
    def population(self):
        noise = FreshPatch(noise=0, std=self.noise_std)
        return tuple(Kind("", 0.5, y, (FreshPatch(((0, 3.0 * y),)), noise)) for y in (1.0, -1.0))
"""


CONFIG = """
data: {model: "own.py:Loud", n_samples: 4, dim: 50}
network: {n_filters: 2, init_std: 0.1}
optimizer: {name: sam, lr: 0.1, rho: 0.1}
train: {n_steps: 2}
"""


@contextmanager
def explored(*arguments):
    """Run the command; yield its address, and end it as Ctrl-C does."""
    command = [sys.executable, "-m", "featlearn", "explore", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())[0]
        finally:
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
        assert process.wait(20) == 130
        assert "Traceback" not in said and said.endswith("interrupted\n"), said
        assert "loading the loops, which are compiled the first time" in said


def milliseconds(window, part):
    return float(window.locator(part).get_attribute("data-ms"))


def until(window, condition):
    """Wait for a condition; the page's own policy lets no script be evaluated for that."""
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends, "waited for a minute"
        window.wait_for_timeout(20)


def pictures(window):
    return int(window.locator("#dynamics").get_attribute("data-pictures") or 0)


def test_a_slider_is_dragged_and_the_picture_changes(tmp_path, capsys):
    with explored() as address:
        with page(viewport={"width": 1300, "height": 900}, accept_downloads=True) as window:
            _played_with(window, address, tmp_path, capsys)
        # Chromium writes every answer of 400 to its console, which `page` counts as an error
        with pytest.raises(AssertionError, match=r"^\['Failed to load resource: .* status of 400 \(Bad Request\)'"):
            _a_refusal_is_shown(address)


def test_code_of_ones_own_is_found_beside_the_config_from_any_folder(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "own.yaml").write_text(CONFIG)
    with explored(str(tmp_path / "own.yaml")) as address, urlopen(f"{address}/dynamics") as answer:
        assert answer.status == 200 and json.load(answer)["panels"]


def _played_with(window, address, folder, capsys):
    window.goto(address)
    window.locator("#phase[data-ms]").wait_for()
    before = window.locator("#dynamics svg[role=img] path.mean").first.get_attribute("d")
    box = window.get_by_label("signal norm, slider").bounding_box()
    window.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2)
    drawn = pictures(window)
    window.mouse.down()
    for share in range(30, 90, 6):
        window.mouse.move(box["x"] + share / 100 * box["width"], box["y"] + box["height"] / 2)
        window.wait_for_timeout(40)
    window.mouse.up()
    until(window, lambda: pictures(window) > drawn)
    assert window.locator("#dynamics svg[role=img] path.mean").first.get_attribute("d") != before
    with capsys.disabled():
        took = milliseconds(window, "#dynamics"), milliseconds(window, "#phase")
        print(f"\ninput to picture {took[0]:.0f} ms, first phase diagram {took[1]:.0f} ms (this machine, as it is)")
    _the_address_holds_the_state(window)
    _the_keyboard_moves_the_point(window)
    _the_yaml_is_a_config(window, folder)


def _the_address_holds_the_state(window):
    moved = window.locator("[id='c-data.signal_norm']").input_value()
    assert f"data.signal_norm={moved}" in window.url
    window.get_by_label("rule", exact=True).select_option("gsam")
    assert "optimizer.name=gsam" in window.url and window.locator("[id='c-optimizer.alpha']").is_visible()
    window.get_by_text("GSAM: coefficients").wait_for()
    window.go_back()
    until(window, lambda: "gsam" not in window.url)
    assert window.get_by_label("rule", exact=True).input_value() == "sam"
    window.reload()
    window.locator("#phase[data-ms]").wait_for()
    assert window.locator("[id='c-data.signal_norm']").input_value() == moved


def _the_keyboard_moves_the_point(window):
    before = window.locator("[id='c-data.dim']").input_value()
    window.locator("#phase svg.map").first.focus()
    window.keyboard.press("ArrowUp")
    assert float(window.locator("[id='c-data.dim']").input_value()) > float(before)
    window.locator("#phase svg.map").last.hover()
    assert "test error" in window.locator("#cell").inner_text()


def _a_refusal_is_shown(address):
    with page() as window:
        window.goto(address)
        window.locator("#phase[data-ms]").wait_for()
        field, said = window.locator("[id='c-data.flip_prob']"), window.locator("#problems")
        field.fill("0.7")
        field.press("Enter")
        said.get_by_text("expected a number >= 0 and < 0.5, found 0.7").wait_for()
        field.fill("0")
        field.press("Enter")
        said.wait_for(state="hidden")


def _the_yaml_is_a_config(window, folder: Path):
    window.get_by_label("phase: the config of what is seen").click()
    with window.expect_download() as download:
        window.get_by_role("button", name="Download").click()
    download.value.save_as(folder / "seen.yaml")
    assert load_config(folder / "seen.yaml").n_runs >= 12 * 12 * 2 * 3
    window.get_by_role("button", name="Close").click()


def test_a_port_in_use_is_one_message():
    with listening(0) as listener:
        port = str(listener.getsockname()[1])
        done = CliRunner().invoke(app, ["explore", "--port", port])
    assert done.exit_code == 2
    assert done.stderr == f"error: port {port} is in use: choose another by --port, or 0 for any free one\n"


def test_a_bad_config_is_refused(tmp_path):
    (tmp_path / "bad.yaml").write_text("data: {dim: 0}\n")
    done = CliRunner().invoke(app, ["explore", str(tmp_path / "bad.yaml")])
    assert done.exit_code == 2 and "data.dim: expected an integer >= 2" in done.stderr
