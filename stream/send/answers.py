"""What an archive's answer to a C-STORE means for the object."""

from __future__ import annotations

from stream.send.outbox import Status

_WARNINGS = (range(0xB000, 0xC000), range(0x0107, 0x0108), range(0x0116, 0x0117))
_MEANINGS = (
    (range(0xA700, 0xA800), "out of resources"),
    (range(0xA900, 0xAA00), "data set does not match its SOP class"),
    (range(0xC000, 0xD000), "cannot understand"),
    (range(0xB000, 0xB001), "data elements coerced"),
    (range(0xB006, 0xB007), "data elements discarded"),
    (range(0xB007, 0xB008), "data set does not match its SOP class"),
)


def judge(code: int) -> Status:
    """Return how an object stands after a status: sent after 0000 alone, never after another.

    References
    ----------
    DICOM PS3.4 section B.2.3 and PS3.7 annex C: B000 to BFFF, 0107 and 0116 are warnings.
    """
    if code == 0:
        return "sent"
    return "warned" if any(code in codes for codes in _WARNINGS) else "refused"


def meaning(code: int) -> str:
    """Return the words of the standard for a status, if it has any.

    What the archive itself says beside it is left out: it may name the patient.
    """
    from pynetdicom.status import GENERAL_STATUS

    known = [words for codes, words in _MEANINGS if code in codes]
    return known[0] if known else GENERAL_STATUS.get(code, ("", ""))[1].lower()
