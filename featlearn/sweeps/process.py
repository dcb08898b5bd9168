"""A process that computes blocks: how it is started, and how it ends with its parent."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from featlearn.sweeps.progress_file import progress_path

POLL_SECONDS = 0.2
FIRST_TO_GO = "800"  # of -1000 to 1000
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_scratch = set[Path]()  # folders of the parent


@contextmanager
def unsignalled() -> Iterator[None]:
    """Start processes inside that receive no Ctrl-C or SIGTERM before ``settle``: its text would be a traceback.

    Signals of this process wait until the end.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle(parent: int, scratch: Path) -> None:
    """Prepare this process for blocks of ``parent``, which has the folder ``scratch``."""
    _scratch.add(scratch)
    _settle(parent)


@cache
def _settle(parent: int) -> None:
    """Ignore Ctrl-C, which the parent handles, and exit when the parent does, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    with suppress(OSError):  # where memory is short, the kernel ends this process, not the parent or other programs
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    """End this process when its parent has ended, and remove the parent's temporary files.

    The kernel's signal for this (PR_SET_PDEATHSIG) also comes when only the thread that started the process ends, and
    processes serve later sweeps too.
    """
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    for folder in list(_scratch):
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        progress_path(parent).unlink()
    os._exit(1)
