"""The web page of a reader study."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from g2m_eval.errors import InputError
from g2m_eval.reader_study.layout import ANSWERS, CHOICES, ReaderStudy, open_study, read_images
from g2m_eval.reader_study.store import Answer, AnswerStore

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = [
    # nothing from elsewhere, nothing kept, the private link told to nobody
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-robots-tag", b"noindex"),
]
_LARGEST_POST = 1_000_000


def create_app(folder: Path) -> Starlette:
    """Give the web application of a study's folder.

    Each reader has ``/r/<token>``: the page, ``/state`` (title, instructions, the reader's own answers),
    ``/images/<place>`` and ``/answers``, which takes new ones. Images are named by their place in this reader's own
    order, are equally long, and come from memory, so that neither name, headers, length nor delay tells them apart.
    The key is never read.

    Raises
    ------
    InputError
        It is no reader study, a picture is missing, or its answers cannot be kept.
    """
    return Starlette(
        routes=_Pages(open_study(folder)).routes(),
        middleware=[Middleware(_WithHeaders)],
        exception_handlers={404: lambda request, error: _web_file("unknown.html", 404)},
    )


class _Pages:
    def __init__(self, study: ReaderStudy) -> None:
        self.study = study
        self.pictures = read_images(study)
        self.store = AnswerStore(study.folder / ANSWERS)

    def routes(self) -> list[Route]:
        return [
            Route("/r/{token}", self.page),
            Route("/r/{token}/state", self.state),
            Route("/r/{token}/images/{place:int}", self.image),
            Route("/r/{token}/answers", self.take_answers, methods=["POST"]),
            *(Route(f"/web/{name}", self.asset) for name in ("study.css", "study.js", "outbox.js", "zoom.js")),
        ]

    def asset(self, request: Request) -> Response:
        return _web_file(request.url.path.rsplit("/", 1)[1])

    def page(self, request: Request) -> Response:
        self._reader(request)
        return _web_file("study.html")

    def state(self, request: Request) -> Response:
        reader = self._reader(request)
        return JSONResponse(
            {
                "title": self.study.title,
                "instructions": self.study.instructions,
                "width_um": self.study.width_um,
                "images": len(self.study.orders[reader]),
                "answers": self._answers(reader),
            }
        )

    def image(self, request: Request) -> Response:
        order = self.study.orders[self._reader(request)]
        place = request.path_params["place"]
        if not 1 <= place <= len(order):
            raise HTTPException(404)
        return Response(self.pictures[order[place - 1]], media_type="image/png")

    async def take_answers(self, request: Request) -> Response:
        reader = self._reader(request)
        if int(request.headers.get("content-length", _LARGEST_POST + 1)) > _LARGEST_POST:
            return JSONResponse({"error": "too large"}, 413)
        order = self.study.orders[reader]
        try:
            answers = [_read_answer(entry, order) for entry in (await request.json())["answers"]]
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            return JSONResponse({"error": "not an answer to this study"}, 422)
        await run_in_threadpool(self.store.save, reader, answers)  # on disk before they are confirmed
        current = await run_in_threadpool(self._answers, reader)
        return JSONResponse({"saved": [answer.id for answer in answers], "answers": current})

    def _reader(self, request: Request) -> str:
        try:
            return self.study.tokens[request.path_params["token"]]
        except KeyError:
            raise HTTPException(404) from None

    def _answers(self, reader: str) -> list[dict[str, Any]]:
        current = self.store.current(reader)
        return [
            {"place": place, "answer": current[image][0], "given_at": current[image][1]}
            for place, image in enumerate(self.study.orders[reader], start=1)
            if image in current
        ]


def _read_answer(entry: Mapping[str, Any], order: Any) -> Answer:
    """Check an answer as the page sends it: id, place, answer, given_at."""
    place, given_at = entry["place"], entry["given_at"]
    if type(place) is not int or not 1 <= place <= len(order) or type(given_at) is not int or not 0 < given_at < 2**53:
        raise ValueError(entry)
    if entry["answer"] not in CHOICES or not re.fullmatch(r"[0-9a-f]{32}", entry["id"]):
        raise ValueError(entry)
    return Answer(id=entry["id"], image=order[place - 1], answer=entry["answer"], given_at=given_at)


def _web_file(name: str, status: int = 200) -> Response:
    content = files("g2m_eval.reader_study").joinpath("web", name).read_text(encoding="utf-8")
    return Response(content, status, media_type=_TYPES[Path(name).suffix])


class _WithHeaders:
    """Adds the same headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def listen(host: str, port: int) -> socket.socket:
    """Take a port, so that links can be told before the server runs; port 0 takes any free one.

    Raises
    ------
    InputError
        The port is taken, or the host is not this machine's.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = str(error.strerror).split(" (while")[0]  # Python's own addition repeats host and port
        raise InputError(f"cannot listen on {host}, port {port} ({why}): name another --port or --host") from error


def serve(app: Starlette, listening: socket.socket) -> None:
    """Serve until interrupted. Requests are not logged: their addresses are the readers' private links."""
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)).run([listening])
