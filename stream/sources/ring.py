"""Shared memory in which a child process hands pictures to its parent without a pipe's copies.

The parent owns the slots. A slot given to the child comes back with a picture in it, and the
arrays made from it lie in the slot itself. When the last array over a slot is gone, wherever it
was kept, the slot goes to the child again: nobody can see a picture change, and nobody has to
release anything. A consumer that keeps many frames would starve the child, so the ring copies
a picture out at once when too few slots remain. That costs a copy per frame: whoever keeps
frames for long calls `keep_frame` and gives the slots back.
"""

from __future__ import annotations

import dataclasses
import math
import mmap
import os
import weakref
from collections import deque
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from stream.frame import Frame

Shape = tuple[int, ...]

_SPARE = 3  # slots the child always has: one being filled, two decoded ahead


def keep_frame(frame: Frame) -> Frame:
    """Return the frame with pixels of its own, for whoever keeps it longer than a few frames."""
    return dataclasses.replace(frame, pixels=own_pixels(frame.pixels), model_input=None)


def own_pixels(pixels: Pixels) -> Pixels:
    """Return a copy that shares no memory with a ring."""
    planes = tuple(plane.copy() for plane in pixels.planes)
    return Pixels(planes, pixels.matrix, pixels.full_range)


class Ring:
    """The parent's side: anonymous memory of equal slots, gone with its last user.

    Parameters
    ----------
    slot_bytes : size of one slot
    slots : number of slots, more than three

    Attributes
    ----------
    fd : descriptor to pass to the child once; then call `close_fd`
    """

    def __init__(self, slot_bytes: int, slots: int) -> None:
        if slots <= _SPARE:
            raise ValueError(f"{slots} slots: expected more than {_SPARE}")
        self._slot_bytes, self.slots = slot_bytes, slots
        self.fd = os.memfd_create("sonostream-ring", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self.fd, slot_bytes * slots)
            self._memory = mmap.mmap(self.fd, slot_bytes * slots, prot=mmap.PROT_READ)
        except BaseException:
            os.close(self.fd)
            raise
        self._held: dict[int, weakref.ref[NDArray[np.uint8]]] = {}
        self._freed: deque[int] = deque()

    def close_fd(self) -> None:
        """Close the descriptor; the memory stays while arrays over it live."""
        os.close(self.fd)

    def take(self, slot: int, shapes: Sequence[Shape]) -> tuple[NDArray[np.uint8], ...]:
        """Return the planes that the child put into a slot, read-only.

        Parameters
        ----------
        slot : number of the slot
        shapes : shape of each plane; they lie one after the other

        Raises
        ------
        ValueError
            If the child does not own the slot or the planes do not fit into it.
        """
        total = 0
        for shape in shapes:
            total += math.prod(shape) if min(shape) > 0 else self._slot_bytes + 1
        owned = 0 <= slot < self.slots and slot not in self._held and slot not in self._freed
        if not owned or total > self._slot_bytes:
            raise ValueError(f"slot {slot} with {total} bytes is not the child's to give")
        place = slot * self._slot_bytes
        root = np.frombuffer(self._memory, np.uint8, total, place)
        if len(self._held) + 1 + _SPARE > self.slots:
            root = root.copy()
            self._freed.append(slot)
        else:
            self._held[slot] = weakref.ref(root, partial(self._release, slot))
        return tuple(split(root, shapes))

    @property
    def waiting(self) -> int:
        """Slots that went free and were not yet given back."""
        return len(self._freed)

    def freed(self) -> bytes:
        """Return the slots that went free since the last call, one byte each."""
        return bytes(self._freed.popleft() for _ in range(len(self._freed)))

    def _release(self, slot: int, _: object) -> None:
        self._held.pop(slot, None)
        self._freed.append(slot)


class Slots:
    """The child's side of a ring: writes pictures into the slots it owns."""

    def __init__(self, fd: int, slot_bytes: int, slots: int) -> None:
        self._memory = mmap.mmap(fd, slot_bytes * slots)
        self.slot_bytes = slot_bytes
        self.free = deque(range(slots))

    def put(self, planes: Sequence[NDArray[np.uint8]]) -> int:
        """Copy planes into a free slot, one after the other; return the slot."""
        slot = self.free.popleft()
        size = sum(plane.nbytes for plane in planes)
        root = np.frombuffer(self._memory, np.uint8, size, slot * self.slot_bytes)
        for target, plane in zip(split(root, [p.shape for p in planes]), planes, strict=True):
            np.copyto(target, plane)
        return slot


def split(root: NDArray[np.uint8], shapes: Sequence[Shape]) -> list[NDArray[np.uint8]]:
    """Cut a flat array into planes that lie one after the other."""
    planes, start = [], 0
    for shape in shapes:
        planes.append(np.ndarray(shape, np.uint8, root, start))
        start += planes[-1].nbytes
    return planes
