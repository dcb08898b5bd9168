"""Reports: sweeps as one self-contained HTML page, which opens from an e-mail and asks no network for anything.

Its numbers are those of `featlearn.tables`; a script of the page draws them.
"""

from featlearn.reports.page import check_report, report

__all__ = ["check_report", "report"]
