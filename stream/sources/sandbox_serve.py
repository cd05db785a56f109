"""The work of the sandboxed child: open one input, put its pictures into the ring."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Literal

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.preprocess import to_model_input
from stream.errors import SourceError, UsageError
from stream.sources.base import Picture, Problem, Reader
from stream.sources.regular import shown_name
from stream.sources.ring import Slots
from stream.sources.sandbox_wire import (
    MAX_MESSAGE_BYTES,
    Ended,
    FromChild,
    FromParent,
    Opened,
    Preparation,
    Refused,
    Request,
    RingGiven,
    RingWanted,
    Shown,
)

_MAX_TEXT, _MAX_PROBLEMS = 500, 20


def open_reader(request: Request) -> Reader:
    """Open the reader for a request; its decoder is imported only here."""
    uri = os.fsdecode(request.uri)
    if request.kind == "phantom":
        from stream.sources.phantom import open_phantom

        return open_phantom(uri)
    if request.kind == "images":
        from stream.sources.images import open_images

        return open_images(uri)
    if request.kind == "dicom":
        try:
            from stream.sources.dicom import open_dicom
        except ModuleNotFoundError as error:
            problem, remedy = f"DICOM needs {error.name}", "install sonostream[dicom]"
            raise SourceError(shown_name(uri), problem, remedy, fault="D08") from error
        return open_dicom(uri)
    from stream.sources.video import open_video

    return open_video(
        uri,
        stream_index=request.stream_index,
        threads=request.threads,
        start_ns=request.start_ns,
    )


def serve(control: socket.socket, opener: Callable[[Request], Reader]) -> None:
    """Read the request from the parent and answer it; return when the parent has gone."""
    cv2.setNumThreads(1)  # the other cores belong to the engine
    channel = _Channel(control)
    try:
        request = channel.receive()
        if isinstance(request, Request):
            _answer(channel, request, opener)
        while True:
            channel.receive_slots()  # stay until the parent has read everything and hangs up
    except _ParentGoneError:
        return


def _answer(channel: _Channel, request: Request, opener: Callable[[Request], Reader]) -> None:
    try:
        reader = opener(request)
        channel.send(Opened(reader.info, _bounded(reader.problems)))
        slots = channel.receive_ring()
        for number, picture in enumerate(reader.pictures()):
            slots = _deliver(
                channel, slots, picture, _prepare(request.preparation, picture, number)
            )
        channel.send(Ended(_bounded(reader.problems)))
    except (SourceError, UsageError) as error:
        channel.send(_refusal(error))
    except MemoryError:
        name = shown_name(os.fsdecode(request.uri))
        problem, remedy = "decoding needs more memory than the limit", "use a smaller recording"
        channel.send(Refused("source", name, problem, remedy, "F33"))


def _prepare(
    wanted: Preparation | None, picture: Picture, number: int
) -> tuple[NDArray[np.uint8], ...]:
    """Return the model input of a picture, if there is one to make."""
    if wanted is None or picture.damage is not None or number % wanted.every:
        return ()
    return (to_model_input(picture.pixels, wanted.input_wh, wanted.fit),)


def _deliver(
    channel: _Channel, slots: Slots, picture: Picture, prepared: tuple[NDArray[np.uint8], ...]
) -> Slots:
    pixels = picture.pixels
    planes = (*pixels.planes, *prepared)
    size = sum(plane.nbytes for plane in planes)
    if size > slots.slot_bytes:
        channel.send(RingWanted(size))
        slots = channel.receive_ring()
    while not slots.free:
        slots.free.extend(channel.receive_slots())
    slot = slots.put(planes)
    shapes = tuple(plane.shape for plane in pixels.planes)
    layout = (shapes, bool(prepared), pixels.matrix, pixels.full_range)
    channel.send(Shown(slot, *layout, picture.pts_ns, picture.damage))
    return slots


def _refusal(error: SourceError | UsageError) -> Refused:
    kind: Literal["source", "usage"] = "usage" if isinstance(error, UsageError) else "source"
    subject, problem, remedy = (
        text[:_MAX_TEXT] for text in (error.subject, error.problem, error.remedy)
    )
    return Refused(kind, subject, problem, remedy, error.fault)


def _bounded(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    return tuple(Problem(p.fault, p.text[:_MAX_TEXT], p.partial) for p in problems[:_MAX_PROBLEMS])


class _ParentGoneError(Exception):
    """The parent wants no more."""


class _Channel:
    """The control socket as messages."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[FromParent] = msgspec.msgpack.Decoder(FromParent)

    def send(self, message: FromChild) -> None:
        try:
            self._control.send(self._encoder.encode(message))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _ParentGoneError from error

    def receive(self) -> FromParent:
        return self._decoder.decode(self.receive_slots())

    def receive_slots(self) -> bytes:
        return self._receive()[0]

    def receive_ring(self) -> Slots:
        """Wait for a ring; slots of the ring before do not matter any more."""
        while True:
            data, fds = self._receive()
            if fds:
                break
        given = self._decoder.decode(data)
        assert isinstance(given, RingGiven)
        slots = Slots(fds[0], given.slot_bytes, given.slots)
        os.close(fds[0])
        return slots

    def _receive(self) -> tuple[bytes, list[int]]:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, MAX_MESSAGE_BYTES, 1)
        except ConnectionResetError as error:
            raise _ParentGoneError from error
        if not data:
            raise _ParentGoneError
        return data, fds
