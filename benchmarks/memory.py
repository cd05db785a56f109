"""The bundled clip at any length, its packets copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av

from stream.replay_command import DEMO_CLIP

RATE_HZ, CLIP_S = 25, 8


def make_long_clip(folder: Path, seconds: int) -> Path:
    """Repeat the packets of the bundled clip until it is that long; nothing is encoded again."""
    path = folder / f"seconds{seconds}.mp4"
    with av.open(str(DEMO_CLIP)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.pts is not None]
        copy = target.add_stream_from_template(stream)
        assert stream.time_base is not None
        period = int(1 / (RATE_HZ * stream.time_base))
        for number in range(seconds // CLIP_S):
            for packet in packets:
                _write_shifted(target, packet, copy, number * len(packets) * period)
    return path


def _write_shifted(
    target: av.container.OutputContainer, packet: av.Packet[Any], stream: av.VideoStream, shift: int
) -> None:
    assert packet.pts is not None and packet.dts is not None
    again: av.Packet[Any] = av.Packet(bytes(packet))
    again.pts, again.dts = packet.pts + shift, packet.dts + shift
    again.time_base, again.is_keyframe, again.stream = packet.time_base, packet.is_keyframe, stream
    target.mux(again)
