"""A process lives while it runs, under its number, on its machine."""

import subprocess
import sys
from dataclasses import replace

from featlearn.sweeps.holders import STALE_SECONDS, Holder


def test_this_process_lives_and_one_that_has_its_number_since_is_another():
    this = Holder.this()
    assert this.lives(1e9)
    assert not replace(this, start="earlier").lives(0)


def test_a_process_that_has_ended_is_dead_at_once():
    code = "from featlearn.sweeps.holders import Holder; h = Holder.this(); print(h.host, h.pid, h.start)"
    host, pid, start = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    assert host == Holder.this().host
    assert not Holder(host, int(pid), start).lives(0)


def test_on_another_machine_silence_decides():
    other = replace(Holder.this(), host="another", pid=1)
    assert other.lives(0) and other.lives(STALE_SECONDS - 1) and not other.lives(STALE_SECONDS + 1)
