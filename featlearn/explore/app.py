"""What the page may ask for: requests, their answers, and from where they may come.

Every request is a GET that changes nothing. A page of another site can neither read an answer nor have one computed:
the Host must be this address (against DNS rebinding), and the browser must not say that another site asks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featlearn.config import ConfigError
from featlearn.explore import computing
from featlearn.explore.answers import description, means, rule_title
from featlearn.explore.limits import TOTAL, too_long
from featlearn.explore.query import read
from featlearn.explore.setting import Setting, as_yaml
from featlearn.explore.workers import Workers

FOLDER = Path(__file__).parent / "page"
FILES = {"/": "index.html", **{f"/{name}": name for name in ("page.css", "page.js", "draw.js", "controls.js")}}
LONGEST = 8000  # characters of a query
BLOCK = 128  # runs of a part of a phase diagram, about: so many take some hundredths of a second
TYPES = {
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".csv": "text/csv; charset=utf-8",
    ".yaml": "text/yaml; charset=utf-8",
}
KINDS = ("phase", "dynamics")
HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
}


class Gone(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True)
class Explorer:
    """The answers to the requests of one page.

    start: the sections of its config, "" for the head. total: the most seconds that a phase diagram may take.
    """

    start: Mapping[str, dict[str, Any]]
    workers: Workers
    total: float = TOTAL

    async def controls(self, request: Request) -> Response:
        """Answer with the controls, and what the page starts from."""
        return JSONResponse(description(self.start))

    async def ready(self, request: Request) -> Response:
        """Answer when the loops are loaded or compiled."""
        await self.workers.ready
        return JSONResponse({"ready": True})

    async def dynamics(self, request: Request) -> Response:
        """Answer with the dynamics of the base run, a few seeds of each rule."""
        setting = self._read(request)
        found = await asyncio.gather(
            *(self.workers.call(computing.dynamics, one) for one in setting.single_rules(setting.dynamics()))
        )
        panels = [{"title": rule_title(rule), **part} for rule, part in zip(setting.rules, found, strict=True)]
        return JSONResponse({"panels": panels, "phase": setting.windows()})

    async def phase(self, request: Request) -> Response:
        """Answer with means over the cells of the phase diagram."""
        setting = self._read(request)
        panels = await self._while_connected(request, [self._panel(setting, config) for config in setting.panels()])
        axes = {
            name: {"key": axis.key, "scale": axis.control.scale, "ends": [axis.low, axis.high]}
            for name, axis in (("x", setting.x), ("y", setting.y))
        }
        return JSONResponse({**axes, "panels": panels, "cells": setting.cells, "seeds": setting.seeds})

    async def _panel(self, setting: Setting, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the means of the panel of one rule."""
        parts = -(-(setting.cells**2 * setting.seeds) // BLOCK)
        shape = await self.workers.call_patiently(computing.shape, config)
        found = await asyncio.gather(
            *(self.workers.call_patiently(computing.phase, config, part, parts) for part in range(parts))
        )
        return {"title": rule_title(config["optimizer"]), **means(shape, found, setting)}

    async def _while_connected(self, request: Request, work: Sequence[Any]) -> list[Any]:
        """Return the results of coroutines; give them up when the browser has dropped the request, or after `total` s.

        Raises TooMuch then; the computations that have begun end on their own, each after a few seconds at most.
        """
        together = asyncio.create_task(_gathered(work))
        ends = time.monotonic() + self.total
        while not (await asyncio.wait([together], timeout=0.02))[0]:
            gone = await request.is_disconnected()
            if gone or time.monotonic() > ends:
                together.cancel()
                await asyncio.wait([together])
                raise Gone if gone else too_long(self.total)
        return await together

    async def yaml(self, request: Request) -> Response:
        """Answer with a config of what is seen, ready for ``featlearn sweep``."""
        kind = _chosen(request, "kind", KINDS)
        setting = self._read(request)
        text = as_yaml(getattr(setting, kind)(), f"{kind}: written by featlearn explore")
        return _file(text.encode(), kind, ".yaml")

    async def figure(self, request: Request) -> Response:
        """Answer with a figure as the package draws it."""
        kind, suffix = _chosen(request, "kind", KINDS), "." + _chosen(request, "format", ["png", "pdf", "svg", "csv"])
        setting = self._read(request)
        options = {"x": setting.x.key, "y": setting.y.key, "value": setting.quantity} if kind == "phase" else {}
        content = await self.workers.call(computing.figure, getattr(setting, kind)(), kind, options, suffix)
        return _file(content, kind, suffix)

    def _read(self, request: Request) -> Setting:
        own = ("kind", "format")
        return read(((k, v) for k, v in request.query_params.multi_items() if k not in own), self.start)


async def _gathered(work: Sequence[Any]) -> list[Any]:
    return await asyncio.gather(*work)


def _chosen(request: Request, name: str, words: Sequence[str]) -> str:
    found = request.query_params.get(name, "")
    if found not in words:
        raise ValueError(f"{name}: expected one of {', '.join(words)}, found {found[:40]!r}")
    return found


def _file(content: bytes, name: str, suffix: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}{suffix}"'}
    return Response(content, media_type=TYPES[suffix], headers=headers)


def application(explorer: Explorer) -> ASGIApp:
    """Return the application of a page."""

    def page(name: str) -> Any:
        async def answer(request: Request) -> Response:
            return FileResponse(FOLDER / name)

        return answer

    routes = [Route(path, page(name)) for path, name in FILES.items()]
    words = ("controls", "ready", "dynamics", "phase", "yaml", "figure")
    routes += [Route(f"/{word}", getattr(explorer, word)) for word in words]
    handlers: Any = {ConfigError: _refused, ValueError: _refused, Gone: _gone}
    return Guard(Starlette(routes=routes, exception_handlers=handlers))


async def _refused(request: Request, error: Exception) -> Response:
    """Answer 400 with the sentences of a refusal."""
    if isinstance(error, ConfigError):
        problems = [{"key": problem.key, "message": problem.message} for problem in error.problems]
    else:
        problems = [{"key": "", "message": str(error)}]
    return JSONResponse({"problems": problems}, status_code=400)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


@dataclass(frozen=True)
class Guard:
    """Refuses what does not come from the page itself, and sends the headers that keep the browser to it."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS.items()]}
            await send(message)

        reason = _foreign(scope)
        answer = JSONResponse({"problems": [{"key": "", "message": reason}]}, status_code=403) if reason else self.app
        await answer(scope, receive, guarded)


def _foreign(scope: Scope) -> str | None:
    """Return why a request is refused, None if it comes from the page, or from the address bar."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    hosts = [f"{name}:{scope['server'][1]}" for name in ("127.0.0.1", "localhost")]
    if headers.get(b"host") not in hosts:
        return "this page is served at the loopback address only"
    if headers.get(b"sec-fetch-site", "none") not in ("same-origin", "none"):
        return "another site asks"
    if b"origin" in headers and headers[b"origin"] not in [f"http://{host}" for host in hosts]:
        return "another origin asks"
    if scope["method"] not in ("GET", "HEAD"):
        return "only GET is answered"
    if len(scope["query_string"]) > LONGEST:
        return f"a query has at most {LONGEST} characters"
    return None
