"""The server of the page: a socket at the loopback address, and uvicorn behind it."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

import uvicorn

from featlearn.config.sweep import SweepConfig
from featlearn.explore.app import Explorer, application
from featlearn.explore.controls import SHOWN
from featlearn.explore.workers import Processes
from featlearn.models import TwoLayerCNN

ADDRESS = "127.0.0.1"
DEFAULT: Mapping[str, dict[str, Any]] = {
    "": {"name": "explore"},
    "data": {"model": "signal_noise"},
    "network": {"model": "two_layer_cnn", "patches": "mean", "filters": "sum", "bias": True},
    "optimizer": {"name": "sam", "lr": 0.02, "rho": 0.03},
    "train": {"n_steps": 60},
}


def serve(config: SweepConfig | None, port: int, announce: Callable[[str], None], *, jobs: int = 2) -> None:
    """Serve the page until it is interrupted. announce: called with what the terminal should say.

    Raises ValueError for a port in use and for a config without a network on patches.
    """
    start = DEFAULT if config is None else beginning(config)
    listener = listening(port)
    with listener:
        address = f"http://{ADDRESS}:{listener.getsockname()[1]}"
        workers = Processes(jobs)
        try:
            asyncio.run(_serve(Explorer(start, workers), listener, announce, address))
        finally:
            workers.end()


async def _serve(explorer: Explorer, listener: socket.socket, announce: Callable[[str], None], address: str) -> None:
    explorer.workers.start()
    announce(f"{address}  (Ctrl-C ends it)")
    announce("loading the loops, which are compiled the first time ...")
    explorer.workers.ready.add_done_callback(lambda done: None if done.cancelled() else announce("ready"))
    await server(explorer).serve(sockets=[listener])


class Server(uvicorn.Server):
    """A server that says nothing of the requests that its end cuts off."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, after Ctrl-C for one."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def server(explorer: Explorer) -> uvicorn.Server:
    """Return a server of the page."""
    options: dict[str, Any] = {"http": "h11", "ws": "none", "lifespan": "off", "log_level": "warning"}
    return Server(
        uvicorn.Config(
            application(explorer),
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
            **options,
        )
    )


def listening(port: int) -> socket.socket:
    """Return a socket that listens on a port of the loopback address, 0 for a free one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ValueError(f"port {port} is in use: choose another by --port, or 0 for any free one") from None
        raise ValueError(f"port {port}: {error.strerror}") from None
    return listener


def beginning(config: SweepConfig) -> dict[str, dict[str, Any]]:
    """Return what the page starts from: the sections of a config, and "" for its head.

    Raises ValueError for a network on other data than patches.
    """
    run = config.base_run()
    if not isinstance(run.network, TwoLayerCNN):
        raise ValueError(f"{config.name}: explore shows networks on patches, such as two_layer_cnn")
    sections = config.grid.base().parsed
    found = {name: {**sections[name].node.plain} for name in SHOWN}
    return {"": {**sections[""].node.plain, "name": config.name}, **found}
