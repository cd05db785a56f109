"""The one way to open a live source, chosen by its address."""

from __future__ import annotations

from stream.sources.live.address import kind_of, shown_address
from stream.sources.live.base import Grabber
from stream.sources.live.options import LiveOptions

__all__ = ["LiveOptions", "open_live", "shown_address"]


def open_live(address: str, options: LiveOptions | None = None) -> Grabber:
    """Open a source that runs in real time.

    Parameters
    ----------
    address : ``phantom:...``, path of a recording, ``device:N``, ``/dev/videoN``, ``rtsp://``,
        ``rtsps://``, ``http://``, ``https://``, ``tcp://``, ``udp://`` or
        ``igtl://host:port?device=Name``
    options : choices and time limits; the defaults when None

    Raises
    ------
    SourceError
        If the source is not there or gives nothing usable now; the text names the cause.
    UsageError
        If the address or a choice cannot be right, whatever the source does.
    """
    options = options or LiveOptions()
    kind = kind_of(address)
    if kind == "paced":
        from stream.sources.live.paced import PacedGrabber

        return PacedGrabber(address, options)
    if kind == "device":
        from stream.sources.live.device import open_device

        return open_device(address, options)
    if kind == "igtl":
        from stream.sources.live.igtl import IgtlGrabber

        return IgtlGrabber(address, options)
    from stream.sources.live.network import NetworkGrabber

    return NetworkGrabber(address, options)
