"""A signal interrupts what is open to it, and waits for anything else."""

import ctypes
import signal
import sys
import threading

import pytest

from featlearn.sweeps.signals import SIGNALS, receiving


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_interrupts_at_once_where_that_is_allowed(number, capfd):
    reached = []
    with pytest.raises(KeyboardInterrupt), receiving() as signals, signals.open():
        signal.raise_signal(number)
        reached.append(1)
    assert not reached and capfd.readouterr().err == ""


class Interrupted:
    """Receives a signal in its destructor, from which Python raises nothing."""

    def __init__(self, act):
        self.act = act

    def __del__(self):
        self.act()


def test_an_interruption_that_cannot_be_raised_prints_nothing_and_comes_at_the_next_check(capfd):
    with receiving() as signals, signals.open():
        Interrupted(lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            signals.check()
    assert capfd.readouterr().err == ""


def test_other_errors_that_cannot_be_raised_are_reported(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: seen.append(error.exc_type))
    with receiving():
        Interrupted(lambda: 1 / 0)
    Interrupted(lambda: [].pop())
    assert seen == [ZeroDivisionError, IndexError]


def test_elsewhere_it_waits_for_a_check_and_says_for_what(capfd):
    with receiving() as signals:
        signals.check()
        with signals.doing("writing 3 finished runs"):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
        for stop in (signals.check, lambda: signals.open().__enter__()):
            with pytest.raises(KeyboardInterrupt):
                stop()
        signal.raise_signal(signal.SIGINT)  # while processes end
    said = ["writing 3 finished runs", "writing 3 finished runs", "ending its processes"]
    assert capfd.readouterr().err.splitlines() == [f"interrupted: {what} first" for what in said]


def test_a_second_signal_does_not_interrupt_the_handling_of_the_first():
    with receiving() as signals:
        try:
            with signals.open():
                signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
            handled = True
    assert handled


def test_an_interruption_that_a_c_library_drops_is_not_shown_and_is_raised_by_the_next_signal_or_check(capfd):
    interrupt = ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))
    hook = sys.unraisablehook
    with receiving() as signals:
        with pytest.raises(KeyboardInterrupt), signals.open():
            interrupt()
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signals.check()
    assert sys.unraisablehook is hook and capfd.readouterr().err == ""


def test_ignored_signals_stay_ignored_and_handlers_come_back():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a background job of a shell script
    try:
        others = signal.getsignal(signal.SIGTERM)
        with receiving() as signals, signals.open():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGTERM) == signals.handle
        assert signal.getsignal(signal.SIGTERM) == others
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_receives_none():
    before, seen = signal.getsignal(signal.SIGINT), []

    def enter():
        with receiving():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
