"""Recorded sessions with DICOM objects in their report, for tests of what leaves the machine."""

import atexit
import dataclasses
import functools
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from stream.replay import record_clip
from stream.report.dicom import read_origin, write_dicom
from stream.session.content import read_content
from stream.session.manifest import file_digests, read_manifest, write_manifest
from tests.dicom_files import build_dataset, change, save
from tests.jobs import open_job
from tests.report_content import draw_sector
from tests.tiny_model import save_tiny

DATA = Path("../shared/data/dicom")
OBJECTS = {
    "panel_1": "SCImage",
    "panel_2": "SCImage",
    "key_objects": "KeyObjectSelectionDocument",
    "results": "ComprehensiveSR",
    "report": "EncapsulatedPDF",
}
PATIENT = {
    "PatientName": "Müller^Änne",
    "PatientID": "PLANTED-ID",
    "PatientBirthDate": "19700102",
    "PatientSex": "F",
    "StudyInstanceUID": "1.2.3.4",
    "StudyID": "S-7",
    "StudyDate": "20300131",
    "StudyTime": "101112",
    "AccessionNumber": "A-5",
    "ReferringPhysicianName": "Doe^John",
}
IMAGE = {"SOPInstanceUID": "1.2.3.4.5.6", "SeriesInstanceUID": "1.2.3.4.5"}
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"


def record(uri, folder):
    """Analyse a clip with the tiny model, without a report; return the session's folder."""
    job = open_job(save_tiny(folder), folder / "engines")
    try:
        return record_clip(str(uri), job, folder / "sessions", lambda source: None).folder
    finally:
        job.engine.close()


@functools.cache
def recorded_phantom():
    """Return a session of a phantom with DICOM objects, recorded once a process; copy to change."""
    folder = Path(tempfile.mkdtemp(prefix="sonostream-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    session = record("phantom:kidney?seed=7&seconds=1", folder)
    add_dicom(session)
    return session


def panel(number, size_wh):
    """Return a small panel, each different."""
    width, height = size_wh
    image = np.full((height, width, 3), 20 * number, np.uint8)
    place = (8, height - 8)
    return cv2.putText(image, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255))


def add_dicom(session, given=None, deidentify=False, size_wh=(96, 64)):
    """Write the DICOM objects of a session and seal it again; return what was written."""
    manifest = read_manifest(session)
    content = read_content(session, manifest)
    panels = [panel(key.rank, size_wh) for key in content.key_frames]
    origin = read_origin(manifest, given)
    written = write_dicom(content, session / "report", origin, PDF, panels, deidentify)
    write_manifest(session, msgspec.structs.replace(manifest, files=file_digests(session)))
    return written


def copy_of(session, folder):
    """Return a copy of a session that a test may change."""
    return Path(shutil.copytree(session, folder / session.name))


def write_source(path, **tags):
    """Write an ultrasound cine loop of somebody."""
    frames = np.stack([draw_sector(seed, (160, 120)) for seed in range(8)])
    ds = build_dataset(frames)
    ds.SpecificCharacterSet = "ISO_IR 100"
    return save(change(ds, **(PATIENT | IMAGE | tags)), path)


def of(session, source):
    """Return the manifest of a session as if it were of another DICOM file."""
    manifest = read_manifest(session)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    info = dataclasses.replace(manifest.input.info, sha256=digest)
    given = msgspec.structs.replace(manifest.input, uri=str(source), info=info)
    return msgspec.structs.replace(manifest, input=given)


def complaints(session, name):
    """Return the errors that dciodvfy finds in an object; skip where it is not installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("needs dciodvfy of Debian's dicom3tools")
    path = session / "report" / "dicom" / f"{name}.dcm"
    done = subprocess.run([program, path], capture_output=True, text=True, timeout=30)
    lines = (done.stderr + done.stdout).splitlines()
    assert OBJECTS[name] in lines, "it was read as the object that it is"
    return [line for line in lines if line.startswith("Error")]
