"""A page served from a thread of the tests, which computes in another."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from featlearn.explore.app import Explorer
from featlearn.explore.server import listening, server
from featlearn.explore.workers import Workers

SMALL = {
    "": {"name": "small"},
    "data": {"model": "signal_noise", "n_samples": 4, "dim": 200, "signal_norm": 3.0},
    "network": {"model": "two_layer_cnn", "n_filters": 2, "patches": "mean", "filters": "sum"},
    "optimizer": {"name": "sam", "lr": 0.1, "rho": 0.05, "stop": 2},
    "train": {"n_steps": 3},
}


class Page:
    """The address of a page, and requests to it."""

    def __init__(self, port):
        self.port = port

    def ask(self, path, method="GET", **headers):
        """Return status and body; headers are written with _ for -."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        self.headers = dict(answer.getheaders())
        found = answer.status, answer.read()
        connection.close()
        return found

    def json(self, path):
        status, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)

    def problems(self, path, status=400):
        """Return the sentences of a refusal."""
        found, body = self.ask(path)
        assert found == status, body
        return [f"{p['key']}: {p['message']}" for p in json.loads(body)["problems"]]


@pytest.fixture(scope="session")
def page():
    listener, running = listening(0), {}

    async def serve():
        workers = Workers(ThreadPoolExecutor(1), 1)
        workers.start()
        running["server"] = server(Explorer(SMALL, workers))
        await running["server"].serve(sockets=[listener])
        await workers.ready

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    made = Page(listener.getsockname()[1])
    made.ask("/ready")
    yield made
    running["server"].should_exit = True
    thread.join()
    listener.close()
