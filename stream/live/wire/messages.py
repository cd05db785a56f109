"""What the live processes say to each other; `stream.live.wire.sockets` carries and checks it.

Text and counts are bounded by their types, so a header that decodes is safe to use.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engines.pixels import Matrix
from stream.frame import FrameId, State
from stream.session.manifest import ModelUsed

MAX_SIDE_PX = 4096
MAX_CLASSES = 256

Role = Literal["capture", "worker", "viewer", "recorder"]
RoleStanding = Literal["starting", "up", "down", "off"]
"""off: latched after five restarts in a minute, until the user resets it (F04)."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=300)]
Digest = Annotated[str, Meta(max_length=64)]
Count = Annotated[int, Meta(ge=0, lt=1 << 53)]
Clock = Annotated[int, Meta(ge=0, lt=1 << 62)]
SourceClock = Annotated[int, Meta(gt=-(1 << 62), lt=1 << 62)]
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE_PX)]
PlaneShape = Annotated[tuple[Side, ...], Meta(min_length=2, max_length=3)]
PlaneShapes = Annotated[tuple[PlaneShape, ...], Meta(min_length=1, max_length=3)]
ArrayShape = Annotated[tuple[Side, ...], Meta(min_length=1, max_length=3)]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all headers."""


class _OfFrame(_Message, frozen=True):
    """A header that belongs to one frame.

    Parameters
    ----------
    session, epoch, seq : identity of the frame
    host : on which machine `captured_ns` was read
    captured_ns : clock of that machine at capture
    pts_ns : time of the source, or None; never used for order or age
    """

    session: Name
    epoch: Count
    seq: Count
    host: Name
    captured_ns: Clock
    pts_ns: SourceClock | None

    @property
    def id(self) -> FrameId:
        """Identity of the frame."""
        return FrameId(self.session, self.epoch, self.seq)


class PixelLayout(_Message, frozen=True):
    """How the planes of a picture lie one after the other; see `engines.pixels.Pixels`."""

    shapes: PlaneShapes
    matrix: Matrix
    full_range: bool

    @property
    def nbytes(self) -> int:
        """Bytes of all planes."""
        total = 0
        for shape in self.shapes:
            size = 1
            for side in shape:
                size *= side
            total += size
        return total


class FrameHeader(_OfFrame, frozen=True):
    """Capture to everyone: a frame, its pixels in shared memory or after this header.

    Parameters
    ----------
    before : seq of the frame published before this one, -1 for the first; capture itself dropped
        what lies between
    period_ns : measured time between frames, 0 while unknown
    pixels : layout of the planes
    slot : where they lie in the shared ring; None when they follow this header
    damage : why the picture cannot be trusted, or None
    frozen : identical to the pictures before it for longer than a moment (F15)
    masked : what lies outside the sector was blackened and cut away
    source : name of the source for people, without credentials
    """

    before: Annotated[int, Meta(ge=-1, lt=1 << 53)]
    period_ns: Clock
    pixels: PixelLayout
    slot: Annotated[int, Meta(ge=0, lt=256)] | None
    damage: Text | None
    frozen: bool
    masked: bool
    source: Text


class ResultHeader(_OfFrame, frozen=True):
    """Worker to viewer and recorder: what the model said about one frame.

    float32 arrays follow in the order of `ARRAYS`, those with a shape; then, if the frame entered
    the worker's top k, its planes.

    Parameters
    ----------
    worker : which worker of the session, counted from 0 over restarts
    number : which answer of this worker, counted from 0
    state, reason, distance : as `stream.frame.Prediction`
    label : smoothed label, empty where the frame is not believed
    preprocess_ns, engine_ns : time spent
    done_ns : clock of the worker's machine when the answer was ready
    model_digest : sha256 of the model file that the engine was made from
    engine : runtime, version, device and precision
    probs, smoothed, cam, features : shapes (C,), (C,), (C, h, w), (D,), or None
    pixels : layout of the frame's planes, or None when they do not follow
    """

    worker: Count
    number: Count
    state: State
    reason: Text
    label: Text
    distance: float | None
    preprocess_ns: Clock
    engine_ns: Clock
    done_ns: Clock
    model_digest: Digest
    engine: Text
    probs: ArrayShape | None = None
    smoothed: ArrayShape | None = None
    cam: ArrayShape | None = None
    features: ArrayShape | None = None
    pixels: PixelLayout | None = None


ARRAYS = ("probs", "smoothed", "cam", "features")


class ModelNote(_Message, frozen=True):
    """Worker to viewers, at the start and twice a second: what answers, so nobody needs its file.

    Parameters
    ----------
    worker : as in `ResultHeader`
    used : the model, its gate left out, and the engine
    """

    session: Name
    worker: Count
    used: ModelUsed


class Beat(_Message, frozen=True):
    """A role to the supervisor, from its main loop: I am alive.

    Parameters
    ----------
    pid : of the process
    standing : "starting" until the first frame can be taken, then "up"; "down" while it lacks
        what it works on, such as a source
    cause : in words, when down
    counters : what it counted since it started, such as ``grabbed``
    facts : short texts for the display, such as the engine's name
    """

    session: Name
    role: Role
    pid: Count
    standing: RoleStanding
    cause: Text = ""
    counters: dict[Name, Count] = {}
    facts: dict[Name, Text] = {}


class RoleStatus(_Message, frozen=True):
    """How one role stands; `since_ns` is when it came to this standing."""

    standing: RoleStanding
    cause: Text
    since_ns: Clock
    restarts: Count
    pid: Count
    counters: dict[Name, Count]
    facts: dict[Name, Text]


class Status(_Message, frozen=True):
    """Supervisor to everyone, ten times a second and at every change."""

    session: Name
    number: Count
    sent_ns: Clock
    roles: dict[Role, RoleStatus]


class Order(_Message, frozen=True):
    """From the viewer's keys, or between roles, through the supervisor to everyone.

    `record` turns the video recording on or off, `reset` unlatches what is off, `quit` ends the
    session, `withdraw` takes back answers.

    Parameters
    ----------
    seq : the last frame whose answer holds, -1 where none does
    last_seq : the last frame that was answered; no frame after it is meant
    text : why
    """

    session: Name
    name: Literal["record", "reset", "withdraw", "quit"]
    seq: Annotated[int, Meta(ge=-1, lt=1 << 53)] = -1
    last_seq: Count = 0
    text: Text = ""


class Pin(_OfFrame, frozen=True):
    """Viewer to the recorder, through the supervisor: keep this frame; its planes follow."""

    pixels: PixelLayout


class Note(_Message, frozen=True):
    """A role to the recorder, through the supervisor: something happened at a frame."""

    session: Name
    role: Name
    kind: Name
    text: Text
    epoch: Count
    seq: Count


class EpochNote(_Message, frozen=True):
    """Capture to the recorder, through the supervisor: an epoch began.

    Parameters
    ----------
    epoch, first_seq : of its first frame
    first_index : place of that frame in the source, for files and phantoms
    size_wh : of the source's pictures, before the sector is cut out
    box_xyxy : part of them that leaves capture
    outline : corners of the sector in picture pixels, empty when nothing is masked
    cause : why it began: started, reopened, format changed
    """

    session: Name
    epoch: Count
    first_seq: Count
    first_index: Count
    size_wh: tuple[Side, Side]
    box_xyxy: tuple[int, int, int, int]
    outline: Annotated[tuple[tuple[int, int], ...], Meta(max_length=128)]
    cause: Text


class KeyNote(_Message, frozen=True):
    """One of the current key frames, for the film strip."""

    rank: Count
    epoch: Count
    seq: Count
    time_ns: Count
    score: float
    probability: float
    pinned: bool
    jpeg_bytes: Annotated[int, Meta(ge=1, lt=1 << 20)]


class Ranking(_Message, frozen=True):
    """Recorder to viewers, through the supervisor: the key frames; their JPEGs follow in order."""

    session: Name
    keys: Annotated[tuple[KeyNote, ...], Meta(max_length=40)]
