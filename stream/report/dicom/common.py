"""What all objects of a report share: patient, study, series, equipment, identifiers, encoding."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from stream import __version__
from stream.report.dicom.origin import Origin
from stream.sources.dicom_study import PATIENT, STUDY

NOT_FOR_DIAGNOSIS = "Not for diagnosis. Research only; not a medical device."
MAKER = "Sonostream"
UTF_8 = "ISO_IR 192"
UNNAMED = "2.25.0"
"""Stands for the identifier of an object until `name_instance` has seen all of it."""

EMPTY_WHEN_UNKNOWN = (*PATIENT, *(key for key in STUDY if key != "TimezoneOffsetFromUTC"))


@dataclass(frozen=True, slots=True)
class Series:
    """A series of objects of one kind.

    Parameters
    ----------
    modality : DICOM code
    number : SeriesNumber
    what : for people, and what its identifier is derived from
    """

    modality: str
    number: int
    what: str

    def uid(self, origin: Origin) -> str:
        """Return the SeriesInstanceUID, the same whenever this session's report is written."""
        return derive_uid("series", origin.session, study_uid(origin), self.what)


def derive_uid(*parts: str) -> str:
    """Return the identifier that these words always give: a UUID made from their SHA-256.

    References
    ----------
    DICOM PS3.5 annex B.2 (2.25 and the UUID as a decimal number); RFC 9562 section 5.8
    (version 8, whose bits are the maker's).
    """
    digest = bytearray(hashlib.sha256("\0".join(parts).encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return f"2.25.{int.from_bytes(digest)}"


def study_uid(origin: Origin) -> str:
    """Return the study of the source, or one of this session's own."""
    return origin.values.get("StudyInstanceUID") or derive_uid("study", origin.session)


def fill_common(ds: Any, origin: Origin, series: Series, number: int) -> None:
    """Write the Patient, General Study, Series, Equipment and SOP Common modules.

    What is not known stays empty where the standard asks for the element (type 2).

    Parameters
    ----------
    ds : dataset to complete; `number` becomes its InstanceNumber
    """
    ds.SpecificCharacterSet = UTF_8
    for keyword in EMPTY_WHEN_UNKNOWN:
        setattr(ds, keyword, origin.values.get(keyword, ""))
    ds.StudyInstanceUID = study_uid(origin)
    ds.Modality, ds.SeriesNumber = series.modality, series.number
    ds.SeriesInstanceUID = series.uid(origin)
    ds.SeriesDescription = f"{series.what}, not for diagnosis"
    ds.Manufacturer = ds.ManufacturerModelName = MAKER
    ds.SoftwareVersions = origin.version
    ds.InstanceNumber = number
    _fill_dates(ds, origin)


def _fill_dates(ds: Any, origin: Origin) -> None:
    """Date the object by the analysis; an offset is written where the study's clock is known."""
    created = origin.local_created()
    ds.InstanceCreationDate = ds.ContentDate = created.strftime("%Y%m%d")
    ds.InstanceCreationTime = ds.ContentTime = created.strftime("%H%M%S")
    ds.SeriesDate, ds.SeriesTime = ds.ContentDate, ds.ContentTime
    offset = origin.values.get("TimezoneOffsetFromUTC")
    if offset or not origin.values.get("StudyDate"):
        ds.TimezoneOffsetFromUTC = offset or "+0000"


def date_equipment(ds: Any, origin: Origin) -> None:
    """Date what highdicom says of itself by the analysis, where it writes the time of now."""
    for item in ds.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = origin.local_created().strftime("%Y%m%d%H%M%S")


def name_instance(ds: Any, origin: Origin) -> None:
    """Give an object the identifier that its content always gets.

    Another content, such as one with a mask or for another patient, gets another identifier.
    """
    ds.SOPInstanceUID = UNNAMED
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, ds)
    digest = hashlib.sha256(stream.getvalue()).hexdigest()
    ds.SOPInstanceUID = derive_uid("instance", origin.session, digest)


def encode(ds: Any) -> bytes:
    """Return an object as a DICOM file, explicit little endian, with a preamble of zeros."""
    whole = Dataset(ds)
    whole.file_meta = FileMetaDataset()
    whole.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    whole.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole.file_meta.ImplementationClassUID = UID(derive_uid("implementation", MAKER))
    whole.file_meta.ImplementationVersionName = f"{MAKER.upper()} {__version__}"[:16]
    whole.preamble = bytes(128)
    stream = io.BytesIO()
    dcmwrite(stream, whole, enforce_file_format=True)
    return stream.getvalue()


def reference(sop_class: str, sop_instance: str, frame: int | None) -> Any:
    """Return an item that points to an image, or to one frame of it."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    if frame is not None:
        item.ReferencedFrameNumber = frame
    return item


def code(value: str, scheme: str, meaning: str) -> Any:
    """Return an item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def set_all(ds: Any, values: Mapping[str, str]) -> None:
    """Set elements by keyword."""
    for keyword, value in values.items():
        setattr(ds, keyword, value)
