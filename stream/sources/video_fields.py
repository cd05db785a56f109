"""Interlaced video: two fields taken at different moments become one progressive frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import av
from av.error import BlockingIOError as NeedsMoreInput
from av.error import EOFError as Drained
from av.filter import Graph
from av.video.stream import VideoStream


def deinterlaced(
    frames: Iterator[av.VideoFrame], stream: VideoStream, on_start: Callable[[], None]
) -> Iterator[av.VideoFrame]:
    """Pass progressive frames through; run bwdif from the first interlaced frame on.

    Parameters
    ----------
    frames : decoded frames
    stream : where they come from, for its time base
    on_start : called once per run of interlaced frames of one format
    """
    graph, layout = None, None
    for frame in frames:
        if graph is not None and layout != _layout(frame):
            yield from _push(graph, None)
            graph = None
        if graph is None and frame.interlaced_frame:
            graph, layout = _build(frame, stream), _layout(frame)
            on_start()
        if graph is None:
            yield frame
        else:
            yield from _push(graph, frame)
    if graph is not None:
        yield from _push(graph, None)


def _layout(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _build(frame: av.VideoFrame, stream: VideoStream) -> Graph:
    graph = Graph()
    graph.threads = 1
    entry = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=stream.time_base
    )
    filter_ = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    graph.link_nodes(entry, filter_, graph.add("buffersink")).configure()
    return graph


def _push(graph: Graph, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
    graph.vpush(frame)
    while True:
        try:
            yield graph.vpull()
        except (NeedsMoreInput, Drained):
            return
