"""Opens a source over one of the readers of `tests.sandbox_fakes`."""

from stream.sources.sandbox import Limits, SandboxedSource
from stream.sources.sandbox_wire import Request


def fake(name: str, limits: Limits | None = None) -> SandboxedSource:
    """Return a source whose child runs the reader of that name; needs the fixture `fakes`."""
    return SandboxedSource(Request("video", name.encode()), "s", limits or Limits()).open()
