"""A report as text: aligned tables, and times with the unit that suits them."""

from featlearn.bench.text import report_text, table

MACHINE = {"date": "2026-01-02", "processor": "a CPU", "cores": 2, "gpu": None, "load": 0.25, "python": "3.11"}
VERSIONS = dict.fromkeys(("featlearn", "torch", "numpy", "numba"), "1.0")


def test_a_table_is_aligned_markdown():
    expected = "| d   | time |\n| --- | ---- |\n| 10  | 1 s  |\n| 200 | 12 s |"
    assert table(["d", "time"], [["10", "1 s"], ["200", "12 s"]]) == expected


def test_times_have_the_unit_that_suits_their_median_and_growth_is_over_the_first():
    rows = [
        {"dim": dim, "seconds": {"median": s, "min": s / 2, "max": 2 * s}, "runs_per_second": 1 / s}
        for dim, s in [(10**3, 2.0), (10**6, 2e-3), (10**12, 2e-6)]
    ]
    report = {"machine": MACHINE | VERSIONS, "setting": {"device": "cpu"}, "dim": rows}
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report_text(report).splitlines()]
    assert ["1000", "1.00", "0", "2 s [1, 4]"] in cells
    assert ["1e+06", "0.00", "500", "2 ms [1, 4]"] in cells
    assert ["1e+12", "0.00", "500000", "2 µs [1, 4]"] in cells
    assert report_text(report).startswith("2026-01-02: a CPU, 2 cores; featlearn 1.0, torch 1.0, numpy 1.0, numba 1.0,")
