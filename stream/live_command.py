"""The body of `stream live`: settings, session folder, supervisor, report."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from cyclopts import Parameter

from engines.load import MAX_BYTES
from engines.open import DEMO_MODEL
from stream.clock import now_ns
from stream.config import load_config
from stream.engine_flags import DEFAULT_FLAGS, EngineFlags
from stream.errors import UsageError
from stream.live.supervisor.config import LiveConfig, wanted_of
from stream.live.supervisor.session import locked, new_session_name, rendezvous, shared_ring
from stream.live.supervisor.supervisor import Ending, Supervisor
from stream.live.viewer.freshness import DEFAULT_FRESHNESS_MS, MAX_FRESHNESS_MS
from stream.live.wire.messages import Role
from stream.live_ending import INTERRUPTED, close_session
from stream.replay import make_folder
from stream.sources.live.address import kind_of, shown_address
from stream.sources.regular import digest_file

LOG = "live.log"
ROLES: tuple[Role, ...] = ("recorder", "capture", "viewer", "worker")
"""In the order of their start: whoever listens comes before whoever speaks."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class LiveFlags:
    """How a live session runs.

    Parameters
    ----------
    out
        Folder for the session folder.
    name
        Name of the session folder; made from the source by default.
    config
        TOML file of settings.
    freshness_ms
        How old a result may be on the screen, 1 to 1000.
    loop
        Start a recording again at its end.
    mask
        Blacken and cut away what lies outside the sector before a picture leaves capture.
    record
        Record the video, lossless, from the start.
    window
        Show a window; without one, a table on the terminal.
    full_screen
        Start in full screen.
    seconds
        End after so many seconds.
    size
        Wanted size of a device's pictures, such as 1280x720.
    rate
        Wanted rate of a device in frames per second.
    report
        Write the report at the end.
    """

    out: Path = Path("sessions")
    name: str | None = None
    config: Path | None = None
    freshness_ms: int = DEFAULT_FRESHNESS_MS
    loop: bool = False
    mask: bool = True
    record: bool = False
    window: bool = True
    full_screen: bool = False
    seconds: float | None = None
    size: str | None = None
    rate: float | None = None
    report: bool = True


DEFAULT_LIVE = LiveFlags()


def live(
    source: str,
    /,
    *,
    model: Path = DEMO_MODEL,
    engine: EngineFlags = DEFAULT_FLAGS,
    flags: LiveFlags = DEFAULT_LIVE,
    json: bool = False,
) -> int:
    """Analyse a source in real time and show it with class, score and saliency.

    Ends with `q`, at the end of a recording, after `--seconds`, or with Ctrl-C, which seals the
    session at once and leaves its report to `stream report`.

    Parameters
    ----------
    source
        `device:0`, `rtsp://...`, `tcp://HOST:PORT`, `udp://...`, `http://...`, `igtl://...`, a
        recording or `phantom:kidney`, both at their own pace.
    model
        ONNX model made by `stream train`; the bundled demonstration model by default.
    engine
        Which engine answers.
    flags
        How the session runs.
    json
        Print the result as JSON.
    """
    settings = load_config(flags.config, {})
    device = _check(source, model, flags)
    with ExitStack() as stack:
        caught = stack.enter_context(catching(signal.SIGINT, signal.SIGTERM))
        ring = stack.enter_context(shared_ring())  # first: what is refused leaves no folder
        folder = _session_folder(source, flags)
        stack.enter_context(locked(folder))
        ends = stack.enter_context(rendezvous())
        config = LiveConfig(
            session=new_session_name(),
            started_ns=now_ns(),
            folder=str(folder.absolute()),
            source=_whole(source),
            repeatable=kind_of(source) == "paced",
            loop=flags.loop,
            mask=flags.mask,
            device=device,
            wanted=wanted_of(model, engine, _digest(model)),
            analysis=settings,
            freshness_ms=flags.freshness_ms,
            record=flags.record,
            window=flags.window,
            full_screen=flags.full_screen,
            endpoints=ends,
            ring=ring.fd,
        )
        ending = _supervise(config, folder, flags.seconds, caught)
        grabbed = ring.next_seq
    return close_session(folder, ending, grabbed, report=flags.report, json=json)


def _check(source: str, model: Path, flags: LiveFlags) -> tuple[int, int, float] | None:
    """Refuse what cannot be right before anything starts; return the wishes for a device."""
    kind_of(source)
    if not model.is_file():
        raise UsageError(str(model), "no such model", "give an .onnx file")
    if not 1 <= flags.freshness_ms <= MAX_FRESHNESS_MS:
        wanted = f"expected 1 to {MAX_FRESHNESS_MS}"
        raise UsageError("--freshness-ms", str(flags.freshness_ms), wanted, fault="C06")
    if flags.seconds is not None and not flags.seconds > 0:
        raise UsageError("--seconds", str(flags.seconds), "expected more than 0", fault="C06")
    if flags.size is None and flags.rate is None:
        return None
    width, _, height = (flags.size or "0x0").lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise UsageError("--size", str(flags.size), "expected such as 1280x720", fault="C06")
    return int(width), int(height), flags.rate or 0.0


def _whole(source: str) -> str:
    """Return the source as the children find it, who start in another folder."""
    recording = kind_of(source) == "paced" and not source.startswith("phantom:")
    return str(Path(source).absolute()) if recording else source


def _digest(model: Path) -> str:
    """Return the sha256 of the model file; empty for one so large that the worker refuses it."""
    try:
        if model.stat().st_size > MAX_BYTES:
            return ""
        with model.open("rb") as file:
            return digest_file(file)
    except OSError as error:
        raise UsageError(str(model), f"cannot be read: {error.strerror}") from error


def _session_folder(source: str, flags: LiveFlags) -> Path:
    """Make the session folder; one that exists is refused, with who holds it if it is in use."""
    if flags.name is None:
        return make_folder(flags.out, _title(source))
    folder = flags.out / flags.name
    if not folder.exists():
        return make_folder(flags.out, flags.name)
    with locked(folder):
        raise UsageError(str(folder), "exists", "give another --name", fault="C08")


def _title(source: str) -> str:
    """Return what the session folder is named after."""
    if kind_of(source) == "paced":
        return shown_address(source)
    return re.sub(r"[^A-Za-z0-9]+", "-", shown_address(source))


def _supervise(
    config: LiveConfig, folder: Path, seconds: float | None, caught: Sequence[int]
) -> Ending:
    """Run the roles until the session ends; signals end it in order."""
    until_ns = config.started_ns + round(seconds * 1e9) if seconds else None

    def stopping() -> Ending | None:
        if number := caught[0]:
            return Ending(INTERRUPTED + number, signal.Signals(number).name)
        if until_ns is not None and now_ns() >= until_ns:
            return Ending(0, f"{seconds:g} s are over")
        return None

    with (
        (folder / LOG).open("ab") as log,
        Supervisor(config, ROLES, log.fileno()) as supervisor,
    ):
        return supervisor.run(stopping)


@contextmanager
def catching(*numbers: signal.Signals) -> Iterator[list[int]]:
    """Turn signals into a number that a loop looks at; yields a list with the last one, or 0."""
    caught = [0]

    def catch(number: int, _frame: FrameType | None) -> None:
        caught[0] = number

    before = {number: signal.signal(number, catch) for number in numbers}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
