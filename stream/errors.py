"""Errors of the frame path; each becomes one line and an exit code in ``stream.cli``."""

from __future__ import annotations

from engines.errors import SonostreamError


class StreamError(SonostreamError):
    """Base of all errors of this package."""


class UsageError(StreamError):
    """Arguments or configuration that cannot be used."""

    exit_code = 2


class SourceError(StreamError):
    """An input that cannot be used at all."""

    exit_code = 3


class StorageError(StreamError):
    """The session folder cannot be written or read."""

    exit_code = 6


class WireError(StreamError):
    """A message, peer or endpoint of the live system that cannot be used."""

    @property
    def reason(self) -> str:
        """One word for what is wrong; refused messages are counted under it."""
        return self.subject
