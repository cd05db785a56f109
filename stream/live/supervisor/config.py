"""What every live process is told when it starts; it travels over a descriptor, never as arguments.

The address of a source may hold a password, and anybody may read the arguments of a process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from engines.options import Precision
from stream.config import AnalysisConfig
from stream.live.viewer.freshness import DEFAULT_FRESHNESS_MS, MAX_FRESHNESS_MS

if TYPE_CHECKING:
    from stream.engine_flags import EngineFlags

MAX_CONFIG_BYTES = 1 << 20


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of the channels; empty where a role has no use for one.

    Parameters
    ----------
    frames : capture publishes, newest wins
    results : the worker publishes
    records : the recorder collects the same results, none of which may be missed
    posts : the supervisor collects
    news : the supervisor publishes
    """

    frames: str = ""
    results: str = ""
    records: str = ""
    posts: str = ""
    news: str = ""


class EngineWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Model file and the flags of `stream.engine_flags.EngineFlags`.

    Parameters
    ----------
    digest : sha256 of the file when the session began; no worker takes another (M08). Any if empty
    """

    model: str
    digest: str = ""
    engine: str = "auto"
    precision: Precision | None = None
    force: bool = False
    require_gpu: bool = False
    cache: str | None = None


class LiveConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One live session.

    Parameters
    ----------
    session : its name, part of every frame's identity
    started_ns : `stream.clock.now_ns` when it started; the time of a frame counts from here
    folder : session folder; empty where nothing is recorded
    source : address, with credentials if it needs them
    repeatable : the source is a recording or a phantom, which gives the same pictures again
    loop : start a recording again at its end
    mask : blacken and cut away what lies outside the sector
    device : wishes for a capture device: width, height, rate
    wanted : model and engine
    analysis : smoothing, ranking, verdict
    freshness_ms : how old a result may be on the screen
    record : record the video from the start
    window : show a window, else a table on the terminal
    full_screen : of the window
    endpoints : of the channels
    ring : descriptor of the shared ring, inherited; None where frames travel with their pixels
    keys : folder with CURVE keys, empty on one machine
    instance : how often this role was started before
    """

    session: str
    started_ns: int
    folder: str = ""
    source: str = ""
    repeatable: bool = False
    loop: bool = False
    mask: bool = True
    device: tuple[int, int, float] | None = None
    wanted: EngineWanted
    analysis: AnalysisConfig = AnalysisConfig()
    freshness_ms: Annotated[int, Meta(ge=1, le=MAX_FRESHNESS_MS)] = DEFAULT_FRESHNESS_MS
    record: bool = False
    window: bool = True
    full_screen: bool = False
    endpoints: Endpoints
    ring: int | None = None
    keys: str = ""
    instance: int = 0


def wanted_of(model: Path, flags: EngineFlags, digest: str = "") -> EngineWanted:
    """Return what the command line asks for, its paths as seen from any folder."""
    return EngineWanted(
        model=str(model.absolute()),
        digest=digest,
        engine=flags.engine,
        precision=flags.precision,
        force=flags.force,
        require_gpu=flags.require_gpu,
        cache=str(flags.cache.absolute()) if flags.cache else None,
    )


def pass_config(config: LiveConfig) -> int:
    """Return a descriptor from which a child reads its configuration; the caller closes it."""
    fd = os.memfd_create("sonostream-config", os.MFD_CLOEXEC)
    os.write(fd, msgspec.msgpack.encode(config))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def take_config(fd: int) -> LiveConfig:
    """Read the configuration from a descriptor that was inherited, and close it."""
    with os.fdopen(fd, "rb") as file:
        return msgspec.msgpack.decode(file.read(MAX_CONFIG_BYTES), type=LiveConfig)
