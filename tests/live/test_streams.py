"""Several streams on one engine: real sockets, a real engine, what goes wrong with one of them."""

from __future__ import annotations

import contextlib
import socket
import threading
from contextlib import ExitStack
from types import SimpleNamespace

import msgspec
import pytest

from benchmarks.live_streams import measure_streams
from engines.choose import Chosen
from engines.load import load_model
from engines.open import DEMO_MODEL, open_engine
from engines.probe import make_probe, reference_frames
from stream.clock import now_ns
from stream.errors import UsageError
from stream.job import model_used
from stream.live.supervisor.config import Endpoints, EngineWanted, LiveConfig
from stream.live.supervisor.role import Post
from stream.live.supervisor.session import rendezvous
from stream.live.wire import admission
from stream.live.wire.channels import Poller
from stream.live.wire.endpoints import count_up
from stream.live.wire.frames import FrameTaker
from stream.live.wire.keys import make_keys
from stream.live.wire.links import collect_posts, every_result, publish_frames, take_all
from stream.live.wire.messages import Beat, Order, ResultHeader
from stream.live.worker.worker import run_streams
from stream.replay_command import DEMO_CLIP
from tests.colour_engine import BLUE, BRIGHT, NO_ANSWER, RED, Spoilt, picture
from tests.live.test_roles import free_port, program
from tests.tiny_model import save_tiny
from tests.wire_messages import make_frame, wait_until

pytestmark = pytest.mark.timeout(60)


class Stream:
    """Both ends of one stream: a capture that says what the test wants, and whoever hears."""

    def __init__(self, session, model, stack, colour, apart):
        self.session, self.colour, self.seq, self.heard = session, colour, 0, []
        ends = stack.enter_context(rendezvous())
        unused = {"records": "", "news": "", "posts": "" if apart else ends.posts}
        self.config = LiveConfig(
            session="" if apart else session,
            started_ns=0,
            wanted=EngineWanted(model=str(model)),
            endpoints=msgspec.structs.replace(ends, **unused),
        )
        self.frames = stack.enter_context(publish_frames(self.config))
        opened = (every_result,) if apart else (every_result, collect_posts)
        self.poller = Poller(*(stack.enter_context(open_(self.config)) for open_ in opened))

    def send(self, colour=None, **changes):
        self.seq += 1
        facts = {"session": self.session, "captured_ns": now_ns(), "pts_ns": now_ns()}
        pixels = picture(colour or self.colour, self.seq)
        self.frames.publish(*make_frame(self.seq, pixels, **facts | changes))

    def hear(self, kind):
        """Return all messages of a kind so far."""
        self.heard += [one.message for one in take_all(self.poller, 10)]
        return [message for message in self.heard if isinstance(message, kind)]

    def answers(self, more=1, colour=None):
        """Send frames until there are so many more results; return those."""
        before = len(self.hear(ResultHeader))

        def enough():
            self.send(colour)
            return len(self.hear(ResultHeader)) >= before + more

        assert wait_until(enough), self.heard[-3:]
        return self.hear(ResultHeader)[before:]

    def lost(self):
        """Return how many frames between the first result and the last have none."""
        seqs = [one.seq for one in self.hear(ResultHeader)]
        return seqs[-1] - seqs[0] + 1 - len(seqs)

    def counted(self, name):
        """Return what the worker said last that it counted."""
        return next(b.counters[name] for b in reversed(self.hear(Beat)) if b.counters)

    def order(self):
        """Wait for an order of the worker."""
        assert wait_until(lambda: self.hear(Order)), self.heard[-3:]
        return self.hear(Order)[0]


@pytest.fixture
def start(tmp_path):
    """Start a worker over a red and a blue stream; it ends with the test."""
    path = save_tiny(tmp_path, temperature=0.2)  # sure of itself
    model, stop = load_model(path), SimpleNamespace(wanted=False)
    engine = Spoilt(open_engine(model, "onnxruntime"))
    chosen = Chosen(engine, make_probe(engine, reference_frames(model.spec)), "default", "", None)
    opened = (chosen, model_used(chosen, model, path))
    with ExitStack() as stack:

        def begin(*, apart=False):
            a = Stream("a", path, stack, RED, apart)
            b = Stream("b", path, stack, BLUE, apart)
            posts = [stack.enter_context(Post(one.config, "worker")) for one in (a, b)]
            streams = [(a.config, posts[0]), (b.config, posts[1])]
            found = SimpleNamespace(a=a, b=b, engine=engine, status=None)

            def work():
                found.status = run_streams(streams, stop, lambda *_: opened)

            found.worker = threading.Thread(target=work)
            stack.callback(found.worker.join, 20)
            found.worker.start()
            return found

        try:
            yield begin
        finally:
            stop.wanted = True
            engine.free.set()
    engine.close()


def test_each_stream_hears_its_own_session_frames_and_labels(start):
    two = start()
    two.b.seq = 1000
    for stream, label in ((two.a, "red"), (two.b, "blue")):
        found = stream.answers(3)
        assert {(one.session, one.label) for one in found} == {(stream.session, label)}
        assert all(stream.seq - 1000 < one.seq <= stream.seq for one in found)


def test_the_newest_frame_of_a_stream_wins_and_its_losses_are_counted(start):
    two = start()
    two.a.answers(), two.b.answers()
    two.engine.free.clear()
    for _ in range(100):
        two.a.send()
    two.engine.free.set()
    for stream in (two.a, two.b):
        stream.answers()
        assert wait_until(lambda one=stream: one.lost() == one.counted("skipped"))
    assert two.a.lost() > 50


def test_a_frame_that_came_after_the_socket_was_polled_is_the_one_taken(tmp_path):
    with ExitStack() as stack:
        stream = Stream("a", tmp_path, stack, RED, apart=True)
        taker, other = (stack.enter_context(FrameTaker(stream.config)) for _ in range(2))

        def newest():
            stream.send()
            if not Poller(taker.socket).wait(20):
                return False
            stream.send()
            other.take(20)  # by now it has come
            return taker.take(0)[0].seq == stream.seq

        assert wait_until(newest, 5)


def test_a_stream_that_talks_nonsense_holds_nobody_up(start):
    two = start()
    two.b.answers()
    for _ in range(20):
        two.b.send(session="stranger")
    two.a.answers(5)
    assert wait_until(lambda: two.b.counted("refused"))
    assert two.b.answers()[-1].session == "b"


def test_another_session_on_one_stream_leaves_the_other_alone(start, monkeypatch):
    two = start(apart=True)
    assert two.a.answers(2)[-1].session == "a"
    number = two.b.answers(2)[-1].number
    monkeypatch.setattr(admission, "SILENCE_NS", 0)  # no time is to be waited
    two.a.session, two.a.seq = "c", 0
    assert two.a.answers()[-1].session == "c"
    assert two.b.answers()[-1].number > number


def test_f06_a_broken_device_withdraws_in_every_stream(start):
    two = start()
    last = {stream: stream.answers()[-1].seq for stream in (two.a, two.b)}
    two.engine.fault = "F06"
    two.a.send()
    for stream, seq in last.items():
        order = stream.order()
        assert (order.session, order.name) == (stream.session, "withdraw")
        assert order.seq < seq <= order.last_seq and "[F06]" in order.text
    two.worker.join(20)
    assert two.status == 1


def test_f08_pictures_that_get_no_answer_cost_only_their_own_stream(start):
    two = start()
    two.b.answers()
    two.engine.most = NO_ANSWER
    for _ in range(2):
        assert {one.state for one in two.a.answers(4, BRIGHT)} == {"failed_infer"}
        assert two.b.answers()[-1].state == "ok"
    assert two.worker.is_alive()


def test_f08_an_engine_that_answers_nobody_is_given_up(start):
    two = start()
    two.a.answers(), two.b.answers()
    two.engine.most = 0

    def withdrawn():
        two.a.send(), two.b.send()
        return two.a.hear(Order)

    assert wait_until(withdrawn)
    assert "3 frames in a row" in two.a.order().text and "[F08]" in two.b.order().text


def heard_session(results, frames):
    """Tell whether a result came, of a frame that this stream's capture published."""
    found = [one.message for one in take_all(Poller(results), 20)]
    taken = frames.take(0)
    sessions = {one.session for one in found if isinstance(one, ResultHeader)}
    return bool(sessions) and taken is not None and sessions == {taken[0].session}


def test_one_infer_program_serves_two_captures_and_goes_on_with_one(tmp_path):
    make_keys(tmp_path / "keys")
    flags = ("--keys", tmp_path / "keys", "--listen")
    frames = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
    ports = next(pair for pair in iter(two_ports, None) if pair)
    results = [f"tcp://127.0.0.1:{port}" for port in ports]
    with ExitStack() as stack:
        ears = []
        for ends in zip(frames, results, strict=True):
            config = LiveConfig(
                session="",
                started_ns=0,
                wanted=EngineWanted(model=""),
                endpoints=Endpoints(frames=ends[0], results=ends[1]),
                keys=str(tmp_path / "keys"),
            )
            taker = stack.enter_context(FrameTaker(config))
            ears.append((stack.enter_context(every_result(config)), taker))
        stack.enter_context(program("infer", *frames, "--model", DEMO_MODEL, *flags, results[0]))
        stack.enter_context(program("capture", DEMO_CLIP, "--loop", *flags, frames[0]))
        with program("capture", "phantom:ovary", *flags, frames[1]):
            for stream in ears:
                assert wait_until(lambda one=stream: heard_session(*one), 40)
        assert wait_until(lambda: heard_session(*ears[0]))


def two_ports():
    """Return two free ports in a row, or nothing when the second is taken."""
    first = free_port()
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", first + 1))
        return first, first + 1
    return ()


def test_results_of_several_streams_are_at_ports_counted_up():
    assert count_up("ipc:///run/results", 1) == ["ipc:///run/results"]
    assert count_up("tcp://0.0.0.0:5556", 2) == ["tcp://0.0.0.0:5556", "tcp://0.0.0.0:5557"]
    for endpoint in ("ipc:///run/results", "tcp://host:0", "tcp://host:65535", "tcp://host"):
        with pytest.raises(UsageError, match="2 streams"):
            count_up(endpoint, 2)


@pytest.mark.slow
def test_the_benchmark_finds_every_frame_of_two_streams_answered():
    found = measure_streams(2, 1.0, "openvino:fp32")
    assert found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]
    assert 0 < found["least_answered"] <= found["answered"] <= 1
    assert found["worker_cpu"] > 0 and found["captures_cpu"] > 0
