"""A zygote whose children have misbehaving readers, chosen by the name of the input."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator

from stream.sources.base import Picture, Reader
from stream.sources.nursery_child import main
from stream.sources.sandbox_wire import Request
from tests import sandbox_fakes


def stubborn() -> Iterator[Picture]:
    """Ignore every signal that can be ignored."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    yield from map(sandbox_fakes.grey, range(3))
    while True:
        time.sleep(60)


def open_reader(request: Request) -> Reader:
    if request.uri == b"stubborn":
        return sandbox_fakes.FakeReader(stubborn)
    return sandbox_fakes.open_reader(request)


if __name__ == "__main__":
    main(sys.argv[1:], open_reader)
