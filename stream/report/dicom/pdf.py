"""The PDF of a report as an Encapsulated PDF object."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from stream.report.dicom.common import Series, code, fill_common, name_instance, reference
from stream.report.dicom.origin import Origin

SERIES = Series("DOC", 9004, "Sonostream report")

_TITLE = "Sonostream report, not for diagnosis"


def build_pdf(origin: Origin, pdf: bytes) -> Any:
    """Return the object that carries a PDF.

    References
    ----------
    DICOM PS3.3 section A.45.1 (Encapsulated PDF) and C.24.2 (Encapsulated Document).
    """
    ds = Dataset()
    ds.SOPClassUID = EncapsulatedPDFStorage
    fill_common(ds, origin, SERIES, 1)
    ds.ConversionType = "WSD"
    ds.AcquisitionDateTime = ""
    ds.BurnedInAnnotation = origin.burned_in
    ds.DocumentTitle = _TITLE
    ds.ConceptNameCodeSequence = [code("126000", "DCM", "Imaging Measurement Report")]
    if origin.source is not None:
        item = reference(origin.source.sop_class, origin.source.sop_instance, None)
        ds.SourceInstanceSequence = [item]
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(pdf)
    ds.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    name_instance(ds, origin)
    return ds


def restore_title(ds: Any) -> None:
    """Give a PDF object that was de-identified its title again: it names nobody, and is type 2."""
    if ds.SOPClassUID == EncapsulatedPDFStorage:
        ds.DocumentTitle = _TITLE
