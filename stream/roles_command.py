"""The bodies of `stream capture`, `stream infer` and `stream view`: roles on machines of their own.

Each runs one role in the foreground until Ctrl-C; whoever needs it restarted lets systemd do it.
"""

from __future__ import annotations

import signal
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
    frames: str,
    /,
    *,
    listen: str,
    keys: Path,
    model: Path = DEMO_MODEL,
    engine: EngineFlags = DEFAULT_FLAGS,
    config: Path | None = None,
) -> int:
    """Analyse the newest frame that another machine publishes, and publish the results.

    Parameters
    ----------
    frames
        Address of a `stream capture`, such as `tcp://scanner:5555`.
    listen
        Address to publish results at, such as `tcp://0.0.0.0:5556`.
    keys
        Folder with `server.public` and `client.secret` of the capture, and `server.secret` and
        `clients` of this machine.
    model
        ONNX model made by `stream train`.
    engine
        Which engine answers.
    config
        TOML file of settings.
    """
    whole = LiveConfig(
        session="",
        started_ns=now_ns(),
        wanted=wanted_of(model, engine),
        analysis=load_config(config, {}),
        endpoints=Endpoints(frames=frames, results=listen),
        keys=str(keys),
    )
    console.warn(f"analysing {frames}, results at {listen}; Ctrl-C ends it")
    return _run(whole, "worker")


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
