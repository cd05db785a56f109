"""The bodies of `stream capture`, `stream infer` and `stream view`: roles on machines of their own.

Each runs one role in the foreground until Ctrl-C; whoever needs it restarted lets systemd do it.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from engines.open import DEMO_MODEL
from stream import console
from stream.clock import now_ns
from stream.config import load_config
from stream.engine_flags import DEFAULT_FLAGS, EngineFlags
from stream.live.supervisor.config import Endpoints, EngineWanted, LiveConfig, wanted_of
from stream.live.supervisor.role import Post, Stop
from stream.live.supervisor.session import new_session_name
from stream.live.viewer.freshness import DEFAULT_FRESHNESS_MS
from stream.live.wire.endpoints import count_up
from stream.live.wire.messages import Role
from stream.sources.live.address import kind_of, shown_address


def capture(
    source: str, /, *, listen: str, keys: Path, mask: bool = True, loop: bool = False
) -> int:
    """Publish the pictures of a source to other machines, encrypted.

    Parameters
    ----------
    source
        As for `stream live`.
    listen
        Address to publish frames at, such as `tcp://0.0.0.0:5555`.
    keys
        Folder with `server.secret` and `clients`, made by `stream keys`.
    mask
        Blacken and cut away what lies outside the sector before a picture leaves.
    loop
        Start a recording again at its end.
    """
    recording = kind_of(source) == "paced" and not source.startswith("phantom:")
    config = LiveConfig(
        session=new_session_name(),
        started_ns=now_ns(),
        source=str(Path(source).absolute()) if recording else source,
        loop=loop,
        mask=mask,
        wanted=EngineWanted(model=""),
        endpoints=Endpoints(frames=listen),
        keys=str(keys),
    )
    console.warn(f"publishing {shown_address(source)} at {listen}; Ctrl-C ends it")
    return _run(config, "capture")


def infer(
    frames: list[str],
    /,
    *,
    listen: str,
    keys: Path,
    model: Path = DEMO_MODEL,
    engine: EngineFlags = DEFAULT_FLAGS,
    config: Path | None = None,
) -> int:
    """Analyse the newest frame of each stream that other machines publish, and publish the results.

    Parameters
    ----------
    frames
        Addresses of `stream capture`, such as `tcp://scanner:5555`; one engine answers for all.
    listen
        Address to publish results at, such as `tcp://0.0.0.0:5556`. Those of the second stream are
        at the next port, and so on.
    keys
        Folder with `server.public` and `client.secret` of the captures, and `server.secret` and
        `clients` of this machine.
    model
        ONNX model made by `stream train`.
    engine
        Which engine answers.
    config
        TOML file of settings.
    """
    wanted, analysis = wanted_of(model, engine), load_config(config, {})
    configs = [
        LiveConfig(
            session="",
            started_ns=now_ns(),
            wanted=wanted,
            analysis=analysis,
            endpoints=Endpoints(frames=source, results=results),
            keys=str(keys),
        )
        for source, results in zip(frames, count_up(listen, len(frames)), strict=True)
    ]
    for one in configs:
        ends = one.endpoints
        console.warn(f"analysing {ends.frames}, results at {ends.results}; Ctrl-C ends it")
    return _run_worker(configs)


def view(
    frames: str,
    results: str,
    /,
    *,
    keys: Path,
    freshness_ms: int = DEFAULT_FRESHNESS_MS,
    window: bool = True,
    full_screen: bool = False,
    mask: bool = True,
) -> int:
    """Show the video and the results that other machines publish; `q` ends it.

    Parameters
    ----------
    frames
        Address of a `stream capture`.
    results
        Address of a `stream infer`.
    keys
        Folder with `server.public` and `client.secret`.
    freshness_ms
        How old a result may be on the screen, 1 to 1000.
    window
        Show a window; without one, a table on the terminal.
    full_screen
        Start in full screen.
    mask
        Keep a snapshot only of a picture that `stream capture` masked.
    """
    config = LiveConfig(
        session="",
        started_ns=0,
        wanted=EngineWanted(model=""),
        freshness_ms=freshness_ms,
        mask=mask,
        window=window,
        full_screen=full_screen,
        endpoints=Endpoints(frames=frames, results=results),
        keys=str(keys),
    )
    return _run(config, "viewer")


def _run(config: LiveConfig, role: Role) -> int:
    """Run a role in this process until a signal ends it."""
    import importlib

    from stream.live.supervisor.child import RUNS

    module, _, function = RUNS[role].partition(":")
    run = getattr(importlib.import_module(module), function)
    stop = Stop(signal.SIGTERM, signal.SIGINT)
    with Post(config, role) as post:
        status = int(run(config, post, stop))
    return stop.status or status


def _run_worker(configs: Sequence[LiveConfig]) -> int:
    """Run one worker for several streams until a signal ends it."""
    from stream.live.worker.worker import run_streams

    stop = Stop(signal.SIGTERM, signal.SIGINT)
    with ExitStack() as stack:
        streams = [(one, stack.enter_context(Post(one, "worker"))) for one in configs]
        status = run_streams(streams, stop)
    return stop.status or status
