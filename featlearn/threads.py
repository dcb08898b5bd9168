"""One thread for the numbers of a block: the rounding of a product may depend on how many threads share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread in torch and in the BLAS of numpy, and restore what was before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _blas_limit():
            yield
    finally:
        torch.set_num_threads(threads)


def _blas_limit() -> Any:
    controller = _controller()
    return controller.limit(limits=1) if controller else nullcontext()


@cache
def _controller() -> Any:
    """Return what controls the thread pools of loaded libraries; None where threadpoolctl is not installed."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()
