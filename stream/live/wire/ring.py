"""Full pictures in shared memory: one writer, many readers, no locks, nothing left behind.

The memory is a memfd: it has no name, belongs to whoever inherited its descriptor, and is gone
with the last of them. It cannot be made shorter or longer, so no process can take a page away
from another. Page 0 outlives a killed writer::

    byte     0  magic "SONORING"          byte  32  next seq
    byte     8  version                   byte  40  epoch
    byte    16  bytes of a slot           byte  64  state of each slot, 256 x u64
    byte    24  number of slots           byte 2112 bytes of its picture, 256 x u32

The state of a slot is ``2 seq + 1`` while frame `seq` is written and ``2 seq + 2`` afterwards; a
seq is never used twice, so equal states around a copy mean that nothing was written meanwhile.

That rests on the order of memory accesses. x86-64 keeps stores in order and loads in order (the
C library fences its non-temporal copies), and an aligned 8-byte access is whole, so the rule
holds as written. Armv8 may reorder both; `_fence` stands between state and picture on each side.
It takes and releases a lock twice: what comes before the first release is done before the second
take, since Armv8 keeps a store-release before a later load-acquire. Nothing promises that Python's
lock uses those instructions on each future machine, and no Arm machine tested it. A header reaches
readers through the kernel, after the picture, on any machine; at stake is only whether an
overwriting is noticed by a reader that is a whole turn of the ring late.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import resource
import threading
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from stream.closing import Closing
from stream.errors import StorageError
from stream.live.wire.messages import PixelLayout
from stream.live.wire.payload import picture
from stream.sources.ring import split

PAGE = 4096
MAX_SLOTS = 256
MAGIC, VERSION = int.from_bytes(b"SONORING", "little"), 1
_MAGIC, _VERSION, _SLOT_BYTES, _SLOTS, _NEXT_SEQ, _EPOCH, _PUBLISHED = range(7)
_STATES = 8
_SIZES = 2 * (_STATES + MAX_SLOTS)  # counted in u32


class FrameRing(Closing):
    """Slots for pictures in shared memory; use `create` and `attach`.

    Attributes
    ----------
    fd : descriptor to pass to children; the ring owns it and closes it
    slot_bytes, slots : size and number of the slots
    """

    def __init__(self, fd: int, memory: mmap.mmap) -> None:
        self.fd = fd
        self._memory = memory
        self._words = np.frombuffer(memory, np.uint64, PAGE // 8)
        self._sizes = np.frombuffer(memory, np.uint32, PAGE // 4)[_SIZES:]
        self.slot_bytes, self.slots = int(self._words[_SLOT_BYTES]), int(self._words[_SLOTS])
        self._reserved = 0
        self._lock = threading.Lock()

    @classmethod
    def create(cls, slot_bytes: int, slots: int) -> Self:
        """Make a ring; untouched slots cost nothing, so they may be as large as any picture.

        Parameters
        ----------
        slot_bytes : largest picture; rounded up to whole pages
        slots : how many frames a reader may be late, 2 to 256

        Raises
        ------
        StorageError
            If a limit forbids so much shared memory (F34).
        """
        if not 2 <= slots <= MAX_SLOTS or slot_bytes < 1:
            raise ValueError(f"{slots} slots of {slot_bytes} bytes: expected 2 to {MAX_SLOTS}")
        slot_bytes = -(-slot_bytes // PAGE) * PAGE
        size = PAGE + slot_bytes * slots
        fd = os.memfd_create("sonostream-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, size)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            os.posix_fallocate(fd, 0, PAGE)
            memory = mmap.mmap(fd, size)
        except OSError as error:
            os.close(fd)
            raise _too_small(error, size) from error
        words = np.frombuffer(memory, np.uint64, PAGE // 8)
        words[:_NEXT_SEQ] = (MAGIC, VERSION, slot_bytes, slots)
        return cls(fd, memory)

    @classmethod
    def attach(cls, fd: int, *, writing: bool = False) -> Self:
        """Open an inherited ring; readers map it without the right to write.

        Parameters
        ----------
        fd : descriptor from `create`; the ring owns it once it is open
        writing : only for capture

        Raises
        ------
        StorageError
            If the descriptor holds no ring, or the memory cannot be mapped (F34).
        """
        size = os.fstat(fd).st_size
        rights = mmap.PROT_READ | (mmap.PROT_WRITE if writing else 0)
        if size < PAGE:
            raise StorageError("shared memory", f"{size} bytes: not a ring of frames")
        try:
            memory = mmap.mmap(fd, size, prot=rights)
        except OSError as error:
            raise _too_small(error, size) from error
        words = np.frombuffer(memory, np.uint64, PAGE // 8)
        good = (words[_MAGIC], words[_VERSION]) == (MAGIC, VERSION)
        if not good or PAGE + int(words[_SLOT_BYTES]) * int(words[_SLOTS]) != size:
            raise StorageError("shared memory", "not a ring of frames of this version")
        return cls(fd, memory)

    @property
    def next_seq(self) -> int:
        """The seq that capture gives next; written by capture alone, before it uses a seq."""
        return int(self._words[_NEXT_SEQ])

    @next_seq.setter
    def next_seq(self, seq: int) -> None:
        self._words[_NEXT_SEQ] = seq

    @property
    def published(self) -> int:
        """One more than the newest seq that capture let out; written by capture alone, before."""
        return int(self._words[_PUBLISHED])

    @published.setter
    def published(self, count: int) -> None:
        self._words[_PUBLISHED] = count

    @property
    def epoch(self) -> int:
        """The epoch that capture is in; written by capture alone."""
        return int(self._words[_EPOCH])

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._words[_EPOCH] = epoch

    def reserve(self, nbytes: int) -> None:
        """Make sure that every slot has memory for a picture, so that writing cannot fail.

        Parameters
        ----------
        nbytes : of the current format

        Raises
        ------
        StorageError
            If there is less memory than that, with the size needed and present (F34).
        """
        if nbytes <= self._reserved:
            return
        if nbytes > self.slot_bytes:
            raise _refused(nbytes, self.slot_bytes, "a picture is larger than a slot")
        present = os.fstat(self.fd).st_blocks * 512
        needed, room = PAGE + nbytes * self.slots, present + _available_bytes()
        if needed > room:
            raise _refused(needed, room, "too little memory is free")
        try:
            for slot in range(self.slots):
                os.posix_fallocate(self.fd, self._place(slot), nbytes)
        except OSError as error:
            raise _too_small(error, needed) from error
        self._reserved = nbytes

    def write(self, seq: int, pixels: Pixels) -> int:
        """Copy a picture into the oldest slot and return the slot.

        Parameters
        ----------
        seq : of the frame, above that of any frame written before
        pixels : planes need not be contiguous

        Raises
        ------
        StorageError
            If there is no memory for a picture of this size (F34).
        """
        slot, nbytes = seq % self.slots, pixels.nbytes
        self.reserve(nbytes)
        self._words[_STATES + slot] = 2 * seq + 1
        self._fence()
        self._sizes[slot] = nbytes
        root = np.frombuffer(self._memory, np.uint8, nbytes, self._place(slot))
        shapes = [plane.shape for plane in pixels.planes]
        for target, plane in zip(split(root, shapes), pixels.planes, strict=True):
            np.copyto(target, plane)
        self._fence()
        self._words[_STATES + slot] = 2 * seq + 2
        return slot

    def read(self, slot: int, seq: int, layout: PixelLayout) -> Pixels | None:
        """Copy a picture out.

        Parameters
        ----------
        slot, seq, layout : from a frame's header

        Returns
        -------
        The picture; None when another frame was written there, before or meanwhile.
        """
        done = 2 * seq + 2
        if slot >= self.slots or self._words[_STATES + slot] != done:
            return None
        self._fence()
        if self._sizes[slot] != layout.nbytes:
            return None
        root: NDArray[np.uint8] = np.empty(layout.nbytes, np.uint8)
        root[:] = np.frombuffer(self._memory, np.uint8, layout.nbytes, self._place(slot))
        self._fence()
        return picture(root, layout) if self._words[_STATES + slot] == done else None

    def close(self) -> None:
        """Give the memory and the descriptor back; may be called twice."""
        if self.fd >= 0:
            del self._words, self._sizes
            self._memory.close()
            os.close(self.fd)
            self.fd = -1

    def _place(self, slot: int) -> int:
        return PAGE + slot * self.slot_bytes

    def _fence(self) -> None:
        """Keep accesses before from passing those after; see the top of this module."""
        for _ in range(2):
            with self._lock:
                pass


def _available_bytes() -> int:
    """Return how much memory may still be taken without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _too_small(error: OSError, needed: int) -> StorageError:
    """Return the error for a size that the system refuses."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    present = _available_bytes()
    if limit != resource.RLIM_INFINITY:
        present = min(present, limit)
    return _refused(needed, present, error.strerror or "a limit refuses it")


def _refused(needed: int, present: int, cause: str) -> StorageError:
    return StorageError(
        "shared memory",
        f"{needed} bytes needed, {present} present: {cause}",
        "free memory, raise the limit, or choose a smaller picture",
        fault="F34",
    )
