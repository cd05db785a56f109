"""What the server answers: the page, the clip as numbers, film, pictures, labels, actions."""

from __future__ import annotations

from importlib import resources
from pathlib import PurePath
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stream.errors import StorageError
from stream.review.desk import Action, Desk, RefusedAction
from stream.review.guard import MAX_BODY_BYTES, read_body
from stream.review.maker import Maker
from stream.review.records import Labels, Target
from stream.review.view import build_view

_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
PAGE = "index.html"
_MAX_DIGITS = 10


def build_app(desk: Desk, maker: Maker, filmed: list[int]) -> Starlette:
    """Return the application, without its guard.

    Parameters
    ----------
    desk : of the reader
    maker : of film and maps
    filmed : frames that the film has or will have
    """
    pages = _Pages(desk, maker, filmed)
    routes = [
        Route("/", pages.page),
        Route("/static/{name}", pages.static),
        Route("/api/clip", pages.clip),
        Route("/api/progress", pages.progress),
        Route("/api/labels", pages.labels),
        Route("/api/actions", pages.act, methods=["POST"]),
        Route("/film/{number:int}", pages.film),
        Route("/key/{rank:int}", pages.key_picture),
        Route("/map/{index:int}", pages.map_picture),
    ]
    return Starlette(routes=routes)


class _Pages:
    """The answers; blind, nothing of the model leaves here."""

    def __init__(self, desk: Desk, maker: Maker, filmed: list[int]) -> None:
        self._desk, self._maker = desk, maker
        self._view = msgspec.json.encode(build_view(desk.clip, filmed, desk.reader, desk.blind))
        self._keys = {} if desk.blind else {key.rank: key for key in desk.clip.keys}
        self._files = {
            file.name: file.read_bytes()
            for file in (resources.files("stream.review") / "static").iterdir()
        }

    async def page(self, request: Request) -> Response:
        return self._file(PAGE)

    async def static(self, request: Request) -> Response:
        return self._file(request.path_params["name"])

    async def clip(self, request: Request) -> Response:
        return Response(self._view, media_type="application/json")

    async def progress(self, request: Request) -> Response:
        wanted = request.query_params.get("piece", "")
        if wanted.isascii() and wanted.isdigit() and len(wanted) < _MAX_DIGITS:
            self._maker.want(int(wanted))
        return _json(self._maker.progress)

    async def labels(self, request: Request) -> Response:
        return _json(_plain(self._desk.labels()))

    async def film(self, request: Request) -> Response:
        piece = await run_in_threadpool(self._maker.piece, request.path_params["number"])
        return Response(piece, media_type="video/mp4") if piece else _absent()

    async def key_picture(self, request: Request) -> Response:
        key = self._keys.get(request.path_params["rank"])
        return Response(key.image_png, media_type="image/png") if key else _absent()

    async def map_picture(self, request: Request) -> Response:
        index = request.path_params["index"]
        if self._desk.blind or index >= len(self._desk.clip.places):
            return _absent()
        picture = await run_in_threadpool(self._maker.draw_map, index)
        return Response(picture, media_type="image/png") if picture else Response(status_code=204)

    async def act(self, request: Request) -> Response:
        body = await read_body(request)
        if body is None:
            return PlainTextResponse(f"At most {MAX_BODY_BYTES} bytes.", 413)
        try:
            action = msgspec.json.decode(body, type=Action)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _json({"error": f"not an action: {error}"}, 400)
        try:
            record = await run_in_threadpool(self._desk.act, action)
        except RefusedAction as refused:
            return _json({"error": str(refused)}, 409)
        except StorageError as error:
            return _json({"error": f"NOT SAVED: {error.problem}"}, 507)
        return _json({"record": record, "labels": _plain(self._desk.labels())})

    def _file(self, name: str) -> Response:
        data, kind = self._files.get(name), _TYPES.get(PurePath(name).suffix)
        return Response(data, media_type=kind) if data is not None and kind else _absent()


def _plain(labels: Labels) -> dict[str, Any]:
    """Return labels as JSON has them; a frame's key is its epoch and seq with a colon between."""
    return {
        "calls": {_key(target): call for target, call in labels.calls.items()},
        "notes": {_key(target): note for target, note in labels.notes.items()},
        "group": labels.group,
    }


def _key(target: Target) -> str:
    return "clip" if target is None else f"{target[0]}:{target[1]}"


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _absent() -> Response:
    return PlainTextResponse("Not here.", 404)
