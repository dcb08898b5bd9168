"""``python -m featlearn.bench``: the benchmarks without the packages of the command line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from featlearn.bench import SECTIONS, Setting, run_benchmarks
from featlearn.bench.text import report_text


def main() -> None:
    """Measure and print the requested sections; write them to a file if requested."""
    parser = argparse.ArgumentParser(prog="python -m featlearn.bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--only", action="append", default=[], choices=list(SECTIONS))
    words = parser.parse_args()
    setting = Setting.on(words.device, quick=words.quick)
    report = run_benchmarks(setting, words.only, lambda name: print(f"{name} ...", file=sys.stderr))
    if words.json:
        words.json.write_text(json.dumps(report, indent=1))
    print(report_text(report))


if __name__ == "__main__":
    main()
