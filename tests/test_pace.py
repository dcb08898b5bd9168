"""The loop tells how far it is, and numba when it compiles; nobody listens unless asked to."""

from helpers import make_run
from numba import njit

from featlearn.pace import COMPILING, report_progress, reporting_to
from featlearn.runs import Record
from featlearn.simulation import simulate
from featlearn.trackers import TRACKERS


def test_the_loop_tells_the_share_of_its_steps_at_every_record():
    run = make_run(record=Record(steps=(0, 5, 10, 20), trackers=(TRACKERS["loss"](),)))
    shares = []
    with reporting_to(shares.append):
        simulate(run)
    told = [share for share in shares if share != COMPILING]
    assert told[0] == 0 and told[-1] == 1 and {0.25, 0.5} <= {*told} and told == sorted(told)
    before = len(shares)
    simulate(run)
    report_progress(0.5)
    assert len(shares) == before


def test_compiling_is_told_once():
    @njit
    def twice(x):
        return 2 * x

    shares = []
    with reporting_to(shares.append):
        assert twice(2) == twice(2) == 4
    assert shares == [COMPILING]
