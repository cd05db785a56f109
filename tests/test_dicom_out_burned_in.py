"""Burned In Annotation of what `stream report --dicom` lets out unmasked of DICOM sources (D13)."""

import pydicom
import pytest

from stream.report.privacy import ExportRefused
from stream.report_command import FormatFlags, PrivacyFlags, report
from tests.dicom_sessions import copy_of, record, write_source

pytestmark = pytest.mark.timeout(120)
ACCEPTED = "A. Tester: a phantom"


@pytest.fixture(scope="module", params=["NO", "YES"])
def session(request, tmp_path_factory):
    """A session of a cine loop that says whether names are burned in."""
    folder = tmp_path_factory.mktemp(request.param)
    source = write_source(folder / "loop.dcm", BurnedInAnnotation=request.param)
    made = record(source, folder)
    return request.param, made


def annotations(folder, **privacy):
    """Export a session unmasked; return Burned In Annotation of a panel and of the PDF."""
    report(folder, formats=FormatFlags(dicom=True), privacy=PrivacyFlags(mask=False, **privacy))
    objects = (folder / f"report/dicom/{name}.dcm" for name in ("panel_1", "report"))
    return [pydicom.dcmread(path).BurnedInAnnotation for path in objects]


def test_d13_unmasked_pictures_leave_where_the_source_says_no_or_somebody_accepts_them(
    session, tmp_path
):
    said, folder = session
    copy = copy_of(folder, tmp_path)
    if said == "YES":
        with pytest.raises(ExportRefused, match="Burned In Annotation is YES"):
            annotations(copy)
        assert not (copy / "report/dicom").exists()
    accepted = ACCEPTED if said == "YES" else ""
    assert annotations(copy, accept_text=accepted) == ["YES", "YES"]  # the clip's name is in them


def test_d13_only_unnamed_objects_that_nobody_had_to_accept_say_no(session, tmp_path):
    said, folder = session
    copy = copy_of(folder, tmp_path)
    accepted = ACCEPTED if said == "YES" else ""
    assert annotations(copy, accept_text=accepted, deidentify=True) == [said, said]
