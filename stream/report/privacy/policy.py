"""What is asked of an export, and how one is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stream.errors import StreamError, UsageError

MAX_REASON = 200
"""Characters of the name and reason with which text is accepted."""


class ExportRefused(StreamError):  # noqa: N818  a contract between the parts names it
    """A report that might show who the patient is; it names the frame and why."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class ExportPolicy:
    """What is asked of an export.

    Parameters
    ----------
    mask : what lies outside the sector is blackened
    accept_text : who accepts that text or surroundings may be seen, and why; empty when nobody does
    deidentify : the clip's name is replaced
    burned_in : DICOM's Burned In Annotation (0028,0301); empty where absent or no DICOM
    synthetic : a phantom, which shows nobody
    masked_before : every picture was cut to its sector before it was written
    pictures : some go out; without any, nothing is masked and no text is looked for

    Raises
    ------
    UsageError
        If `accept_text` is blank, too long, or has characters that cannot be printed.
    """

    mask: bool = True
    accept_text: str = ""
    deidentify: bool = False
    burned_in: Literal["YES", "NO", ""] = ""
    synthetic: bool = False
    masked_before: bool = False
    pictures: bool = True

    def __post_init__(self) -> None:
        given = self.accept_text
        if given and not (given.strip() and given.isprintable() and len(given) <= MAX_REASON):
            raise UsageError(
                "--accept-text", "not usable", f"who and why, in up to {MAX_REASON} characters"
            )
