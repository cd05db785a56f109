"""Opening a network stream safely: what FFmpeg may do, and what went wrong in words."""

from __future__ import annotations

import errno
import ipaddress
import ssl
import time

import av
import av.logging
from av import error as av_error
from av.container import InputContainer
from av.video.stream import VideoStream

from stream.errors import SourceError
from stream.sources.live.address import Endpoint
from stream.sources.live.feed import TcpFeed, connect
from stream.sources.live.options import LiveOptions
from stream.sources.video_checks import MAX_SIDE_PX, check_size
from stream.sources.video_stream import configure_decoder, reason_of

_FORMATS = (
    "rtsp,mpegts,h264,hevc,m4v,mjpeg,mpjpeg,mpeg,mpegvideo,av1,obu,ivf,nut,ogg,flv,live_flv,"
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2"
)
"""Formats that carry pictures themselves; none that names other places to fetch from (V22)."""
_PROTOCOLS = {
    "tcp": "none",
    "udp": "udp",
    "rtsp": "tcp",
    "rtsps": "tcp,tls",
    "http": "http,tcp",
    "https": "https,http,tls,tcp",
}
_PROBE = {
    "probesize": "1000000",
    "analyzeduration": "1000000",
    "fpsprobesize": "0",  # the rate is measured, not believed: no need to wait for it
}
_UDP_BUFFER_BYTES = 4 << 20
_KNOCK_S = 1.0
_UNCLEAR = {
    "rtsp": "closed by the sender, or it does not speak RTSP",
    "rtsps": "no secure connection: no TLS, or its certificate is not accepted",
    "https": "no secure connection: no TLS, or its certificate is not accepted",
    "http": "sends elsewhere, which is not followed, or does not speak HTTP",
}
"""What FFmpeg's errors at opening can mean where they do not tell more."""


def open_stream(
    address: str, place: Endpoint, name: str, options: LiveOptions
) -> tuple[InputContainer, TcpFeed | None]:
    """Open a network stream; FFmpeg reaches out to this one place only.

    Parameters
    ----------
    address : with user and password, for FFmpeg alone
    place : the same, taken apart
    name : the same, fit for people
    options : time limits

    Returns
    -------
    the container, and the connection under it where that is ours

    Raises
    ------
    SourceError
        F14: the cause by name.
    """
    av.logging.set_level(av.logging.PANIC)  # its lines may hold the address with its password
    settings = _PROBE | {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": _PROTOCOLS[place.scheme],
        "max_pixels": str(MAX_SIDE_PX**2),
    }
    if place.scheme == "tcp":
        return _open_feed(TcpFeed(place, name, options), settings, name)
    settings |= _transport(place)
    return _open_address(address, place, settings, name, options), None


def choose_only_video(container: InputContainer, name: str) -> VideoStream:
    """Return the one video stream, ready to decode without delay.

    Raises
    ------
    SourceError
        F14 if there is none, or several, or no decoder; V13 or V14 by its size.
    """
    videos = container.streams.video
    if len(videos) != 1:
        problem = f"not a video: {len(videos)} video streams"
        raise _refusal(name, f"{problem}; expected one")
    if videos[0].codec_context is None:
        raise _refusal(name, "not a video: there is no decoder for its codec")
    if videos[0].width and videos[0].height:
        check_size(videos[0].width, videos[0].height, name)
    configure_decoder(videos[0], 1)  # more frame threads would hold back pictures
    return videos[0]


def cause_of(error: Exception, limit_s: float) -> str:
    """Name the cause of an FFmpeg error in words, without the address that the error holds."""
    if isinstance(error, av_error.HTTPUnauthorizedError | av_error.HTTPForbiddenError):
        return "wrong login: user or password is not accepted"
    if isinstance(error, av_error.HTTPClientError | av_error.HTTPServerError):
        return f"does not give it: {reason_of(error)}"
    if isinstance(error, av_error.ExitError | TimeoutError):
        return f"silent: nothing usable came for {limit_s:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "refused: nothing listens at that port"
    if isinstance(error, ConnectionError | EOFError) or _is_broken(error):
        return "closed by the sender"
    if isinstance(error, ValueError | av_error.LookupError):
        return "not a video"
    return f"cannot be read: {reason_of(error)}"


def _open_feed(
    feed: TcpFeed, settings: dict[str, str], name: str
) -> tuple[InputContainer, TcpFeed]:
    cause = "closed by the sender before it sent anything"
    try:
        container = av.open(
            feed,
            mode="r",
            io_open=_refuse_nested,
            options=settings,
            metadata_errors="replace",
        )
        if feed.failure is None:
            feed.opened()
            return container, feed
        container.close()
    except (av_error.FFmpegError, ValueError, PermissionError) as error:
        cause = cause_of(error, 0) if feed.count else cause
    feed.close()
    raise feed.failure or _refusal(name, cause)


def _open_address(
    address: str, place: Endpoint, settings: dict[str, str], name: str, options: LiveOptions
) -> InputContainer:
    limits, started_s = (options.open_s, options.silence_s), time.monotonic()
    try:
        return av.open(
            address, mode="r", options=settings, metadata_errors="replace", timeout=limits
        )
    except (av_error.FFmpegError, ValueError, PermissionError) as error:
        cause = cause_of(error, options.open_s)
        late = time.monotonic() - started_s >= options.open_s
        known = isinstance(error, ConnectionError | av_error.HTTPClientError)
        unclear = place.scheme.startswith("rtsp") or _is_broken(error)
    # Outside of the handler, or the error would carry that of FFmpeg, which holds the password.
    if late:
        cause = f"silent: nothing usable came for {options.open_s:g} s"
    elif unclear and not known:
        cause = _UNCLEAR.get(place.scheme, cause)
    if not known and place.scheme != "udp":
        connect(place, name, _KNOCK_S).close()  # tells no host and no answer from silent
    raise _refusal(name, cause)


def _refusal(name: str, cause: str) -> SourceError:
    return SourceError(name, cause, "check the sender", fault="F14")


def _transport(place: Endpoint) -> dict[str, str]:
    """Return options of the protocol; certificates are checked against the system's own."""
    if place.scheme == "udp":
        common = {"buffer_size": str(_UDP_BUFFER_BYTES), "overrun_nonfatal": "1"}
        return common if _is_group(place.host) else common | {"localaddr": place.host}
    checked = {"tls_verify": "1", "ca_file": ssl.get_default_verify_paths().cafile or ""}
    secure = checked if place.scheme in ("rtsps", "https") else {}
    if place.scheme.startswith("rtsp"):
        return secure | {"rtsp_transport": "tcp", "allowed_media_types": "video"}
    return secure | {"max_redirects": "0", "seekable": "0"}


def _is_broken(error: Exception) -> bool:
    return getattr(error, "errno", None) == errno.EIO


def _is_group(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(host).is_multicast
    except ValueError:  # a name
        return False


def _refuse_nested(url: str, flags: int, options: dict[str, str]) -> object:
    raise PermissionError("a stream may not open other places")
