"""The channels of a session, each opened as its endpoints and keys say."""

from __future__ import annotations

from pathlib import Path

from stream.live.supervisor.config import LiveConfig
from stream.live.wire.channels import Poller, Publisher, Puller, Pusher, Subscriber
from stream.live.wire.codec import (
    FRAMES,
    RECORDS,
    REPORTS,
    RESULTS,
    SHARED_FRAMES,
    STATUS,
    Received,
)
from stream.live.wire.endpoints import Link
from stream.live.wire.keys import Keys, load_keys

RECORDED_QUEUE = 2000
"""Results that may wait for a recorder whose disk stalls: half a minute at 60 a second (F29)."""
LAST_WORDS_MS = 200
MOST_AT_ONCE = 256


def publish_frames(config: LiveConfig) -> Publisher:
    """Open capture's end of the frames."""
    return Publisher(Link(config.endpoints.frames, _keys(config), queue=4))


def publish_results(config: LiveConfig) -> Publisher:
    """Open the worker's end of the results, for viewers."""
    return Publisher(Link(config.endpoints.results, _keys(config)))


def push_records(config: LiveConfig) -> Pusher:
    """Open the worker's end of the results, for the recorder; the last are still sent at the end.

    A publisher drops what it says before a subscriber has joined; here it waits for a recorder
    that starts later, or again.
    """
    link = Link(config.endpoints.records, queue=RECORDED_QUEUE, linger_ms=LAST_WORDS_MS)
    return Pusher(link)


def collect_records(config: LiveConfig) -> Puller:
    """Open the recorder's end of the results."""
    link = Link(config.endpoints.records, queue=RECORDED_QUEUE)
    return Puller(link, RECORDS, config.session)


def newest_frames(config: LiveConfig) -> Subscriber:
    """Open a viewer's or worker's end of the frames: the newest one alone waits."""
    limits = FRAMES if config.ring is None else SHARED_FRAMES
    link = Link(config.endpoints.frames, _keys(config), newest=True)
    return Subscriber(link, limits, config.session or None)


def every_header(config: LiveConfig) -> Subscriber:
    """Open the recorder's end of the frames; pixels lie in the ring."""
    link = Link(config.endpoints.frames, queue=RECORDED_QUEUE)
    return Subscriber(link, SHARED_FRAMES, config.session)


def every_result(config: LiveConfig) -> Subscriber:
    """Open a viewer's end of the results."""
    link = Link(config.endpoints.results, _keys(config))
    return Subscriber(link, RESULTS, config.session or None)


def hear_news(config: LiveConfig) -> Subscriber:
    """Open a role's end of what the supervisor says."""
    return Subscriber(Link(config.endpoints.news), STATUS, config.session)


def push_posts(config: LiveConfig) -> Pusher:
    """Open a role's line to the supervisor; its last words are still sent when it ends."""
    return Pusher(Link(config.endpoints.posts, linger_ms=LAST_WORDS_MS))


def collect_posts(config: LiveConfig) -> Puller:
    """Open the supervisor's end of those lines."""
    return Puller(Link(config.endpoints.posts), REPORTS, config.session)


def publish_news(config: LiveConfig) -> Publisher:
    """Open the supervisor's end of what it says."""
    return Publisher(Link(config.endpoints.news))


def take_all(poller: Poller, timeout_ms: int) -> list[Received]:
    """Wait for messages and return those that are there, in order within each channel."""
    found = []
    for receiver in poller.wait(timeout_ms):
        for _ in range(MOST_AT_ONCE):
            received = receiver.receive(0)
            if received is None:
                break
            found.append(received)
    return found


def _keys(config: LiveConfig) -> Keys | None:
    return load_keys(Path(config.keys)) if config.keys else None
