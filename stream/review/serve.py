"""Serves one review on the loopback until a signal ends it."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from stream.errors import SourceError, UsageError
from stream.review.app import build_app
from stream.review.clip import ReviewClip
from stream.review.desk import Desk
from stream.review.guard import Guard, Secrets
from stream.review.maker import Maker
from stream.review.pictures import filmed_frames
from stream.review.ticket import Ticket

HOST = "127.0.0.1"
_END_WAIT_S = 2


@dataclass(frozen=True, slots=True)
class Sitting:
    """How a review is held.

    Parameters
    ----------
    reader : name for the trail
    group : who the clip shows, recorded when given
    blind : the reader sees nothing of the model
    port : to listen on; any free one when 0
    browse : open a browser
    cache : folder of compiled engines, the user's own when None
    """

    reader: str
    group: str = ""
    blind: bool = False
    port: int = 0
    browse: bool = True
    cache: Path | None = None


def serve(clip: ReviewClip, sitting: Sitting, say: Callable[[str], None]) -> None:
    """Serve the review of a clip until SIGINT or SIGTERM, which is then raised again.

    Parameters
    ----------
    say : told the address

    Raises
    ------
    UsageError
        If the port is taken.
    StorageError
        If the reader's trail cannot be used.
    """
    filmed = _filmed(clip)
    with (
        _listening(sitting.port) as listener,
        Maker(clip, filmed, sitting.cache, blind=sitting.blind) as maker,
        Desk(clip, sitting.reader, maker, blind=sitting.blind) as desk,
        Ticket() as ticket,
    ):
        if sitting.group:
            desk.name_group(sitting.group)
        held, port = Secrets(ticket), listener.getsockname()[1]
        app = Guard(build_app(desk, maker, filmed), held, port)
        base = f"http://{HOST}:{port}/?token="
        say(f"{base}{held.token}")
        if sitting.browse:
            webbrowser.open(ticket.write(clip.review_folder, base))
        _run(app, listener)


def _run(app: Guard, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_END_WAIT_S,
        limit_concurrency=64,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _filmed(clip: ReviewClip) -> list[int]:
    with suppress(SourceError):  # the maker tells the reader why
        return filmed_frames(clip)
    return []


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()  # a browser may come before the server runs
        except (OSError, OverflowError) as error:
            problem = f"cannot be listened on: {error}"
            raise UsageError(f"port {port}", problem, "give another --port, or 0") from error
        yield listener
