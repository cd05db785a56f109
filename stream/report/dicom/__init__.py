"""DICOM objects of a report: pictures, key objects, structured report, encapsulated PDF."""

from stream.report.dicom.origin import Origin, read_origin, require_dicom
from stream.report.dicom.panels import draw_panels
from stream.report.dicom.write import write_dicom

__all__ = ["Origin", "draw_panels", "read_origin", "require_dicom", "write_dicom"]
