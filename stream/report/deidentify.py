"""Takes out of a DICOM object what may identify somebody, by the basic profile of PS3.15.

Beyond the table, what no row names is removed too if it is private, unknown to pydicom, a date, a
time, a person's name, an address on a network or free text. The pictures are the business of
`stream.report.privacy`.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes

from stream.report.confidentiality import ACTION_OF
from stream.report.dicom.common import MAKER

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement

_METHOD = "DICOM PS3.15 basic application confidentiality profile"
_DICOM_ROOT = "1.2.840.10008."  # UIDs of the standard itself: classes, syntaxes, code schemes
_STRUCTURED = "1.2.840.10008.5.1.4.1.1.88."
_ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104."
_FREE = frozenset(("AE", "DA", "TM", "DT", "PN", "LT", "ST", "UR", "UT"))
_CODE = "URNCodeValue"  # the one of these kinds that is a code
_DUMMIES: dict[str, str | bytes] = {
    "AS": "000Y",
    "DA": "19000101",
    "TM": "000000",
    "DT": "19000101000000",
    "PN": "Anonymous",
    "OB": b"\0\0",
    "UN": b"\0\0",
}
_DUMMY = "ANONYMIZED"
_OWN_CONTENT = frozenset(("TextValue", "EncapsulatedDocument", "DocumentTitle"))
"""What a report of ours says; `stream.report.privacy` has seen it before."""
_REQUIRED = {  # type 1 and type 2 at the top of the objects that we write, by start of SOP class
    _STRUCTURED: (
        {"ContentDate", "ContentTime", "ObservationDateTime"},
        {"ReferencedPerformedProcedureStepSequence"},
    ),
    _ENCAPSULATED: (set[str](), {"AcquisitionDateTime", "DocumentTitle"}),
}


def deidentify(dataset: Dataset, key: bytes) -> None:
    """Apply the basic profile to an object, in place.

    Parameters
    ----------
    dataset : of one of the classes that a report has, or an ultrasound image
    key : secret from which new UIDs are made; with the same key a UID always gets the same new one

    Notes
    -----
    Actions of two or three letters depend on the type of the attribute: at the top of an object
    they remove, unless the class needs it; in an item of a sequence they leave an empty value.
    Content of a structured report is cleaned item by item (option 113104). The texts in it and an
    encapsulated document are kept in an object that names us as its manufacturer.

    References
    ----------
    DICOM PS3.15 section E.1.1 and table E.1-1; PS3.16 CID 7050; PS3.5 annex B.2 (root 2.25).
    """
    sop_class = str(dataset.get("SOPClassUID", ""))
    _Cleaner(dataset, key, sop_class).clean(dataset, top=True)
    _say_so(dataset, structured=sop_class.startswith(_STRUCTURED))
    if "file_meta" in dataset.__dict__:
        _clean_meta(dataset)


def new_uid(uid: str, key: bytes) -> str:
    """Return the UID that stands for another one: HMAC-SHA256 cut to a version 8 UUID."""
    digest = bytearray(hmac.digest(key, uid.encode(), hashlib.sha256)[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return f"2.25.{int.from_bytes(digest)}"


class _Cleaner:
    """Applies the table to one object and all items in it."""

    def __init__(self, dataset: Dataset, key: bytes, sop_class: str) -> None:
        self._key = key
        self._own = str(dataset.get("Manufacturer", "")) == MAKER
        needs = [both for start, both in _REQUIRED.items() if sop_class.startswith(start)]
        self._dummy, self._empty = needs[0] if needs else (set(), set())

    def clean(self, dataset: Dataset, *, top: bool) -> None:
        for element in list(dataset):
            action = self._action(element, top=top)
            if action == "X":
                del dataset[element.tag]
            elif action == "Z":
                element.value = Sequence() if element.VR == "SQ" else None
            elif element.VR == "SQ":
                for item in element.value:
                    self.clean(item, top=False)
            elif action == "D":
                element.value = _DUMMIES.get(element.VR, _DUMMY)
            elif action == "U":
                element.value = self._renamed(element.value)

    def _action(self, element: DataElement, *, top: bool) -> str:
        """Return D, Z, X, K or U."""
        tag, keyword = element.tag, keyword_for_tag(element.tag)
        if not dictionary_has_tag(tag):  # private, overlays and curves among others
            return "X"
        if keyword in _OWN_CONTENT and self._own:
            return "K"
        if element.VR == "UI" and keyword not in ACTION_OF:
            return "U"
        free = element.VR in _FREE and keyword != _CODE
        action = ACTION_OF.get(keyword, "X/Z" if free else "K")
        return action if len(action) == 1 else self._resolved(action, keyword, top=top)

    def _resolved(self, action: str, keyword: str, *, top: bool) -> str:
        forms = action.split("/")
        if "U*" in forms:
            return "K"  # its items are cleaned, their UIDs replaced
        if "D" in forms and (keyword in self._dummy or (not top and "Z" not in forms)):
            return "D"
        if "Z" in forms and (keyword in self._empty or not top or "X" not in forms):
            return "Z"
        return forms[0]

    def _renamed(self, value: object) -> object:
        if isinstance(value, MultiValue):
            return [self._renamed(one) for one in value]
        uid = str(value or "")
        return uid if not uid or uid.startswith(_DICOM_ROOT) else new_uid(uid, self._key)


def _say_so(dataset: Dataset, *, structured: bool) -> None:
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    dataset.DeidentificationMethod = _METHOD
    method = [codes.DCM.BasicApplicationConfidentialityProfile]
    if structured:
        method.append(codes.DCM.CleanStructuredContentOption)
    dataset.DeidentificationMethodCodeSequence = Sequence()
    for code in method:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
        item.CodeMeaning = code.meaning
        dataset.DeidentificationMethodCodeSequence.append(item)


def _clean_meta(dataset: Dataset) -> None:
    """Leave of the file's own header what a reader needs."""
    old = dataset.file_meta
    new = FileMetaDataset()
    new.MediaStorageSOPClassUID = dataset.SOPClassUID
    new.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    new.TransferSyntaxUID = old.TransferSyntaxUID
    dataset.file_meta = new
    if hasattr(dataset, "preamble"):
        dataset.preamble = bytes(128)
