"""Processes of a page that end, and those that take their place. What they compute: tests/cli/test_exploring.py."""

import asyncio
import os
import signal

import pytest

from featlearn.explore.limits import TooMuch
from featlearn.explore.workers import Processes


async def _killed(workers):
    """Kill the process of the workers while it computes; return its id and that of the next."""
    first = await workers.call(os.getpid)
    with pytest.raises(TooMuch, match="was ended, as by a lack of memory"):
        await workers.call(os.kill, first, signal.SIGKILL)
    return first, await workers.call_patiently(os.getpid)


def test_a_process_that_was_killed_is_replaced_and_none_is_left():
    workers = Processes(1)
    try:
        first, second = asyncio.run(_killed(workers))
        assert len({first, second, os.getpid()}) == 3
    finally:
        workers.end()
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)
