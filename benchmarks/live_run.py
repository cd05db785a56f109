"""One live session of the benchmark: the product's processes, and who takes the times."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.live_child import DRAWS, MODULE
from benchmarks.live_figures import Draw, read_draws
from engines.open import DEMO_MODEL
from stream.clock import now_ns
from stream.live.supervisor.config import EngineWanted, LiveConfig
from stream.live.supervisor.session import locked, new_session_name, rendezvous, shared_ring
from stream.live.supervisor.supervisor import Ending, Supervisor
from stream.live.wire.channels import Poller
from stream.live.wire.links import every_result, hear_news, push_posts, take_all
from stream.live.wire.messages import Order, ResultHeader, Role, RoleStatus, Status
from stream.live_command import ROLES

JOIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What one session works on.

    Parameters
    ----------
    source : address
    window : the viewer has a window, else it draws for a terminal
    full_screen : of the window
    engine : as in `stream.engine_flags`; see also `benchmarks.live_child.SLOWED`
    recording : the source is one, which is played again at its end
    """

    source: str
    window: bool
    full_screen: bool = False
    engine: str = "auto"
    recording: bool = False


class LiveRun:
    """A running session.

    Attributes
    ----------
    results : headers of all that the worker said
    roles : how they stand, as the supervisor said last
    """

    def __init__(self, config: LiveConfig, supervisor: Supervisor, stack: ExitStack) -> None:
        self.config, self.folder = config, Path(config.folder)
        self.results: list[ResultHeader] = []
        self.roles: dict[Role, RoleStatus] = {}
        self._ending: Ending | None = None
        self._heard = stack.enter_context(every_result(config))
        self._news = stack.enter_context(hear_news(config))
        self._posts = stack.enter_context(push_posts(config))
        self._poller = Poller(self._heard, self._news)
        self._thread = threading.Thread(
            target=supervisor.run, args=(lambda: self._ending,), daemon=True
        )
        self._thread.start()

    def watch(self, timeout_ms: int = 20) -> None:
        """Take what came."""
        for received in take_all(self._poller, timeout_ms):
            if isinstance(received.message, ResultHeader):
                self.results.append(received.message)
            elif isinstance(received.message, Status):
                self.roles = received.message.roles

    def until(self, reached: Callable[[], bool], limit_s: float) -> None:
        """Watch until something is reached.

        Raises
        ------
        TimeoutError
            If it is not in time.
        """
        until_ns = now_ns() + round(limit_s * 1e9)
        while not reached():
            if now_ns() > until_ns or not self._thread.is_alive():
                log = (self.folder / "live.log").read_text()[-2000:]
                raise TimeoutError(f"not reached in {limit_s:g} s: {self.roles}\n{log}")
            self.watch()

    def until_steady(self, limit_s: float = 60.0) -> None:
        """Watch until results are on the screen and the recorder records."""
        self.until(lambda: self._count("viewer", "shown") > 0 and self._stands("recorder"), limit_s)

    def run(self, seconds: float) -> None:
        """Watch for so long."""
        until_ns = now_ns() + round(seconds * 1e9)
        while now_ns() < until_ns:
            self.watch()

    def forgive(self) -> None:
        """Have the supervisor forget the restarts, so that nothing is given up."""
        self._posts.push(Order(session=self.config.session, name="reset"))

    def stop(self) -> None:
        """End the session in order."""
        self._ending = Ending(0, "the benchmark is over")
        self._thread.join(JOIN_S)

    def draws(self) -> list[Draw]:
        """Return what the viewer wrote down, after `stop`."""
        return read_draws(self.folder / DRAWS)

    def _stands(self, role: Role) -> bool:
        return role in self.roles and self.roles[role].standing == "up"

    def _count(self, role: Role, name: str) -> int:
        return self.roles[role].counters.get(name, 0) if role in self.roles else 0


@contextmanager
def live_run(folder: Path, setting: Setting) -> Iterator[LiveRun]:
    """Run a session in a new folder until the block ends."""
    folder.mkdir()
    with ExitStack() as stack:
        stack.enter_context(locked(folder))
        ends = stack.enter_context(rendezvous())
        ring = stack.enter_context(shared_ring())
        config = LiveConfig(
            session=new_session_name(),
            started_ns=now_ns(),
            folder=str(folder),
            source=setting.source,
            repeatable=setting.recording,
            loop=setting.recording,
            wanted=EngineWanted(model=str(DEMO_MODEL), engine=setting.engine),
            window=setting.window,
            full_screen=setting.full_screen,
            endpoints=ends,
            ring=ring.fd,
        )
        log = stack.enter_context((folder / "live.log").open("ab"))
        supervisor = stack.enter_context(Supervisor(config, ROLES, log.fileno(), MODULE))
        run = LiveRun(config, supervisor, stack)
        try:
            yield run
        finally:
            run.stop()
