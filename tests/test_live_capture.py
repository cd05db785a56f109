"""Facts about capture that need no process of its own."""

import os
from types import SimpleNamespace

from stream.live.capture.capture import _Capture
from stream.live.capture.grabbing import Delivered, Opening
from stream.live.supervisor.config import Endpoints, EngineWanted, LiveConfig
from stream.live.wire.ring import FrameRing
from tests.live_fakes import FakeSource


def test_f10_pictures_in_the_queue_of_a_killed_capture_are_dropped_ones_by_name():
    """Ten were grabbed, eight let out: the next header says that nothing came after seq 7."""
    published = []
    frames = SimpleNamespace(publish=lambda header, _: published.append(header))
    post = SimpleNamespace(note=lambda *_: None, send=lambda _: None)
    with FrameRing.create(1 << 20, 4) as ring:
        ring.next_seq, ring.published, ring.epoch = 10, 8, 1
        config = LiveConfig(
            session="s",
            started_ns=0,
            wanted=EngineWanted(model=""),
            endpoints=Endpoints(),
            mask=False,
            ring=os.dup(ring.fd),
        )
        capture = _Capture(config, post, frames)
        source = FakeSource({})
        capture.count(1)
        capture.take(Delivered(source.grab(), 0, 0, Opening(0, source.info)))
        counted = (ring.next_seq, ring.published)
        capture.close()
    (header,) = published
    assert (header.epoch, header.before, header.seq) == (1, 7, 10)
    assert counted == (11, 11)
