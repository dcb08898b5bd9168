"""The loop reports its progress, and numba its compilation; without a listener nothing happens."""

from helpers import make_run
from numba import njit

from featlearn.pace import COMPILING, report_progress, reporting_to
from featlearn.runs import Record
from featlearn.simulation import simulate
from featlearn.trackers import TRACKERS


def test_the_loop_reports_the_share_of_its_steps_at_every_record():
    run = make_run(record=Record(steps=(0, 5, 10, 20), trackers=(TRACKERS["loss"](),)))
    shares = []
    with reporting_to(shares.append):
        simulate(run)
    steps = [share for share in shares if share != COMPILING]
    assert steps[0] == 0 and steps[-1] == 1 and {0.25, 0.5} <= {*steps} and steps == sorted(steps)
    before = len(shares)
    simulate(run)
    report_progress(0.5)
    assert len(shares) == before


def test_compiling_is_reported_once():
    @njit
    def twice(x):
        return 2 * x

    shares = []
    with reporting_to(shares.append):
        assert twice(2) == twice(2) == 4
    assert shares == [COMPILING]
