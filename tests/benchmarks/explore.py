"""The two times of `featlearn explore` in a headless Chromium: from input to picture, and to the first phase diagram.

python tests/benchmarks/explore.py [FILE.json]: prints both, as measured by the page itself from the input event to the
frame after the picture is drawn, and writes them. Run it on a quiet machine with two cores.
"""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import page

INPUTS = 40  # single inputs, each after the last picture
CHANGES = 12  # of a key that the phase diagram shows
MOVES = 60  # of the pointer while a slider is dragged


@contextmanager
def served():
    command = [sys.executable, "-m", "featlearn", "explore", "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())[0]
            yield address, time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()


def number(window, part, name):
    return float(window.locator(part).get_attribute(name) or 0)


def inputs(window, label, part, counter, count):
    """Return the milliseconds of single inputs of a slider, each waited for."""
    slider, found = window.get_by_label(f"{label}, slider"), []
    for i in range(count):
        before = number(window, part, counter)
        slider.fill(str(300 + 7 * i))
        until = time.perf_counter() + 20
        while number(window, part, counter) == before and time.perf_counter() < until:
            window.wait_for_timeout(5)
        found.append(number(window, part, "data-ms"))
    return found


def dragged(window, label):
    """Return the milliseconds of the pictures drawn while a slider is dragged, and how many there were."""
    box, found = window.get_by_label(f"{label}, slider").bounding_box(), []
    height, first = box["y"] + box["height"] / 2, number(window, "#dynamics", "data-pictures")
    window.mouse.move(box["x"] + 0.2 * box["width"], height)
    window.mouse.down()
    for i in range(MOVES):
        window.mouse.move(box["x"] + (0.2 + 0.6 * i / MOVES) * box["width"], height)
        window.wait_for_timeout(16)
        found.append(number(window, "#dynamics", "data-ms"))
    window.mouse.up()
    return list(dict.fromkeys(found)), number(window, "#dynamics", "data-pictures") - first


def summary(milliseconds):
    ordered = sorted(milliseconds)
    return {"median": statistics.median(ordered), "p90": ordered[int(0.9 * (len(ordered) - 1))], "worst": ordered[-1]}


def main(file=None):
    with served() as (address, cold), page(viewport={"width": 1360, "height": 940}) as window:
        window.goto(address)
        window.locator("#phase[data-cells='48']").wait_for(timeout=120000)
        dynamics = inputs(window, "signal norm", "#dynamics", "data-pictures", INPUTS)
        moving, pictures = dragged(window, "signal norm")
        phases = inputs(window, "rho", "#phase", "data-ms", CHANGES)
        window.locator("#phase[data-cells='48']").wait_for(timeout=120000)
    found = {
        "seconds to the address": cold,
        "input to picture, ms": summary(dynamics),
        "the same while dragging, ms": {**summary(moving), "pictures": pictures, "moves": MOVES},
        "input to first phase diagram, ms": summary(phases),
        "cpus": os.cpu_count(),
    }
    print(json.dumps(found, indent=1))
    if file:
        Path(file).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
