"""Inflating a deflated DICOM data set under a limit."""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

from stream.errors import SourceError

MAX_INFLATED_BYTES = 512 << 20
MAX_INFLATE_RATIO = 200

_ALWAYS_ALLOWED_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20


def inflate(stream: BinaryIO, start: int, size: int, name: str) -> io.BytesIO:
    """Inflate bytes `start` to `size` of a file; damaged or cut data end early.

    Raises
    ------
    SourceError
        D05 when the result exceeds 512 MiB, or 16 MiB and 200 times the deflated size.

    References
    ----------
    DICOM PS3.5 section A.5; RFC 1951.
    """
    limit = min(MAX_INFLATED_BYTES, max(_ALWAYS_ALLOWED_BYTES, MAX_INFLATE_RATIO * (size - start)))
    worker, inflated = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO()
    stream.seek(start)
    try:
        while not worker.eof and (chunk := worker.unconsumed_tail or stream.read(_CHUNK_BYTES)):
            inflated.write(worker.decompress(chunk, _CHUNK_BYTES))
            if inflated.tell() > limit:
                problem = f"{size - start} deflated bytes inflate to more than {limit}"
                raise SourceError(name, problem, "export it without deflation", fault="D05")
        inflated.write(worker.flush())
    except zlib.error:
        return inflated
    return inflated
