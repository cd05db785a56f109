"""How the peak memory of a replay grows with the length of the clip."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import av

from stream.replay_command import DEMO_CLIP

RATE_HZ = 25
MINUTES = (1, 10)


def measure_growth() -> dict[str, float]:
    """Replay a clip of one minute and one of ten, each in a process of its own.

    Returns
    -------
    Peak resident MiB of the replay process for each length, and the growth between them.
    """
    with tempfile.TemporaryDirectory(prefix="sonostream-memory-") as scratch:
        peaks = {n: _peak_mib(_long_clip(Path(scratch), n), Path(scratch)) for n in MINUTES}
    short, long = MINUTES
    return {f"peak_mib_{n}_min": peak for n, peak in peaks.items()} | {
        "growth_mib": peaks[long] - peaks[short]
    }


def _long_clip(folder: Path, minutes: int) -> Path:
    """Repeat the packets of the bundled clip until it is that long; nothing is encoded again."""
    path = folder / f"minutes{minutes}.mp4"
    with av.open(str(DEMO_CLIP)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.pts is not None]
        copy = target.add_stream_from_template(stream)
        assert stream.time_base is not None
        period = int(1 / (RATE_HZ * stream.time_base))
        for number in range(minutes * 60 * RATE_HZ // len(packets)):
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


def _peak_mib(clip: Path, out: Path) -> float:
    program = (
        "import json, pathlib, sys\n"
        "from stream.cli import main\n"
        "status = main(['replay', sys.argv[1], '--out', sys.argv[2], '--json'])\n"
        "lines = pathlib.Path('/proc/self/status').read_text().splitlines()\n"
        "peak = next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) / 1024\n"
        "print(json.dumps([status, peak]), file=sys.stderr)\n"
    )
    command = (sys.executable, "-c", program, str(clip), str(out / f"out-{clip.stem}"))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status, peak_mib = json.loads(done.stderr.splitlines()[-1])
    assert status == 0, done.stderr
    return float(peak_mib)
