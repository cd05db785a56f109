"""Bytes from a TCP sender, as a file that FFmpeg reads; every wait has a limit and a cause."""

from __future__ import annotations

import logging
import socket
import time

from stream.errors import SourceError
from stream.sources.live.address import Endpoint
from stream.sources.live.options import LiveOptions

_FAULT = "F14"
_log = logging.getLogger(__name__)


def connect(place: Endpoint, name: str, limit_s: float) -> socket.socket:
    """Connect to a host, or name the cause why not.

    Raises
    ------
    SourceError
        F14: unknown host, refused, no answer, no way there.
    """
    try:
        return socket.create_connection((place.host, place.port), timeout=limit_s)
    except socket.gaierror:
        cause, remedy = "no host of that name is known", "check the address"
    except ConnectionRefusedError:
        cause, remedy = "refused: nothing listens at that port", "start the sender"
    except TimeoutError:
        cause, remedy = f"no answer in {limit_s:g} s", "check network and address"
    except (OSError, UnicodeError) as error:
        cause = f"cannot be reached ({getattr(error, 'strerror', None) or 'bad host name'})"
        remedy = "check network and address"
    raise SourceError(name, cause, remedy, fault=_FAULT)


class TcpFeed:
    """What FFmpeg may see of a connection: bytes and a harmless name, nothing to reach out from.

    Parameters
    ----------
    place : where to connect
    name : subject of errors
    options : time limits

    Attributes
    ----------
    name : what FFmpeg sees in place of a file name
    count : bytes that came so far
    failure : F14, why `read` gave up: silent, or data without a picture for too long
    """

    name = "feed"

    def __init__(self, place: Endpoint, name: str, options: LiveOptions) -> None:
        self._subject, self._options = name, options
        self._socket = connect(place, name, options.open_s)
        self.count = 0
        self.failure: SourceError | None = None
        self._silence_s = options.open_s
        self.allow(options.open_s)

    def allow(self, limit_s: float) -> None:
        """Let `read` go on for so long from now on, whatever comes."""
        self._limit_s, self._until_s = limit_s, time.monotonic() + limit_s

    def opened(self) -> None:
        """From now on a shorter silence counts as lost."""
        self._silence_s = self._options.silence_s

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes as soon as there are any; none at the end or at a failure.

        FFmpeg calls this in places from which no error comes back, so that a failure is kept.
        """
        left_s = self._until_s - time.monotonic()
        if self.failure or left_s <= 0:
            self.failure = self.failure or self._late()
            return b""
        self._socket.settimeout(min(left_s, self._silence_s))
        try:
            data = self._socket.recv(count)
        except TimeoutError:
            self.failure = self._late() if left_s < self._silence_s else self._silent()
            return b""
        except OSError:  # reset, or closed by us
            return b""
        self.count += len(data)
        return data

    def close(self) -> None:
        """End the connection; a `read` under way returns."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            _log.debug("%s: the other side was first to close", self._subject)
        self._socket.close()

    def _silent(self) -> SourceError:
        text = f"silent: nothing came for {self._silence_s:g} s"
        return SourceError(self._subject, text, "check the sender", fault=_FAULT)

    def _late(self) -> SourceError:
        if not self.count:
            return self._silent()
        text = f"not a video: data came, but no picture in {self._limit_s:g} s"
        return SourceError(self._subject, text, "check what it sends", fault=_FAULT)
