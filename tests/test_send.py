"""Facts about sending a session to real archives, and about what may be sent at all."""

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from stream.errors import StorageError, UsageError
from stream.replay import REPORT
from stream.send.instances import find_instances
from stream.send.outbox import outbox_path
from stream.send_command import LineFlags, parse_archive, send
from stream.session.manifest import file_digests, read_manifest, write_manifest
from tests.dicom_archives import TITLE, free_port, misbehaving, orthanc, storescp
from tests.dicom_sessions import copy_of, recorded_phantom

pytestmark = pytest.mark.timeout(90)
PANEL = "report/dicom/panel_1.dcm"


@pytest.fixture
def session(tmp_path):
    return copy_of(recorded_phantom(), tmp_path)


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"needs Debian's {program}")


def uids(session):
    instances = find_instances(session, read_manifest(session))
    return sorted(one.sop_instance for one in instances)


def test_storescp_gets_every_object_byte_for_byte(session, tmp_path):
    need("storescp")
    folder = tmp_path / "received"
    folder.mkdir()
    with storescp(folder) as port:
        assert send(session, to=f"127.0.0.1:{port}", aet=TITLE) == 0
    received = [path.read_bytes() for path in folder.iterdir()]
    sent = [(session / one).read_bytes() for one in read_manifest(session).files if "dicom/" in one]
    assert len(received) == len(sent) == 8
    assert sorted(map(dataset_of, received)) == sorted(map(dataset_of, sent))


def dataset_of(data):
    """Return what follows the file meta group, whose length is its first element."""
    return data[144 + int.from_bytes(data[140:144], "little") :]


def test_orthanc_holds_every_object_and_its_study_is_one(session, tmp_path):
    need("Orthanc")
    with orthanc(tmp_path) as (port, ask):
        assert send(session, to=f"127.0.0.1:{port}", aet=TITLE) == 0
        held = [ask(f"/instances/{one}/simplified-tags") for one in ask("/instances")]
        assert sorted(tags["SOPInstanceUID"] for tags in held) == uids(session)
        assert len(ask("/studies")) == 1
        assert {tags["Modality"] for tags in held} == {"OT", "KO", "SR", "DOC"}


def test_f38_orthanc_refuses_a_wrong_title_and_nothing_counts_as_sent(session, tmp_path):
    need("Orthanc")
    with orthanc(tmp_path) as (port, ask):
        assert send(session, to=f"127.0.0.1:{port}", aet="WRONG", line=LineFlags(timeout=5.0)) == 4
        assert ask("/instances") == []


def test_json_says_how_every_object_stands(session, capsys):
    with misbehaving(lambda event: 0xB000) as port:
        send(session, to=f"127.0.0.1:{port}", aet=TITLE, json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["archive"] == f"{TITLE}@127.0.0.1:{port}"
    assert {row["status"] for row in facts["instances"]} == {"warned"}
    assert {row["code"] for row in facts["instances"]} == {0xB000}
    assert {row["text"] for row in facts["instances"]} == {"data elements coerced"}


def test_the_table_shows_status_code_and_meaning(session, capsys):
    with misbehaving(lambda event: 0xA700) as port:
        send(session, to=f"127.0.0.1:{port}", aet=TITLE)
    shown = capsys.readouterr().out
    assert "0 of 8 objects stored" in shown
    assert all(word in shown for word in ("refused", "A700", "out of resources", "panel_1.dcm"))


def test_sending_changes_nothing_that_the_manifest_seals(session):
    sealed = file_digests(session)
    send(session, to=f"127.0.0.1:{free_port()}", aet=TITLE)
    assert outbox_path(session).parent == session.parent
    assert file_digests(session) == sealed


def test_a_changed_object_is_not_sent(session):
    path = session / PANEL
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StorageError, match=r"panel_1.dcm.*is not what the session was sealed with"):
        send(session, to="127.0.0.1:104", aet=TITLE)
    assert not outbox_path(session).exists()


def test_an_object_that_is_gone_is_told(session):
    (session / PANEL).unlink()
    with pytest.raises(StorageError, match=r"panel_1\.dcm: cannot be read"):
        send(session, to="127.0.0.1:104", aet=TITLE)


def test_an_object_that_the_manifest_does_not_name_is_not_sent(session):
    shutil.copy(session / PANEL, session / "report/dicom/extra.dcm")
    with pytest.raises(StorageError, match="not part of the sealed session: report/dicom/extra"):
        send(session, to="127.0.0.1:104", aet=TITLE)


@pytest.mark.parametrize("how", ["dots", "link"])
def test_a_manifest_cannot_name_a_file_elsewhere(session, tmp_path, how):
    outside = tmp_path / "outside.dcm"
    shutil.copy(session / PANEL, outside)
    name = "report/dicom/../../../outside.dcm"
    manifest = read_manifest(session)
    if how == "link":
        name = "report/dicom/link.dcm"
        (session / name).symlink_to(outside)
    files = manifest.files | {name: manifest.files[PANEL]}
    write_manifest(session, msgspec.structs.replace(manifest, files=files))
    with pytest.raises(StorageError, match="not a file of the session's own report"):
        send(session, to="127.0.0.1:104", aet=TITLE)


def test_a_sealed_file_that_is_no_dicom_is_not_sent(session):
    (session / PANEL).write_bytes(b"not DICOM" * 100)
    manifest = msgspec.structs.replace(read_manifest(session), files=file_digests(session))
    write_manifest(session, manifest)
    with pytest.raises(StorageError, match="no DICM prefix"):
        send(session, to="127.0.0.1:104", aet=TITLE)


def test_a_session_without_dicom_objects_says_how_to_get_them(session):
    shutil.rmtree(session / REPORT / "dicom")
    manifest = msgspec.structs.replace(read_manifest(session), files=file_digests(session))
    write_manifest(session, manifest)
    with pytest.raises(UsageError, match="stream report SESSION --dicom"):
        send(session, to="127.0.0.1:104", aet=TITLE)


@pytest.mark.parametrize("to", ["", "host", "host:", ":104", "host:0", "host:65536", "host:x"])
def test_an_address_that_is_none_is_refused(to):
    with pytest.raises(UsageError, match="--to"):
        parse_archive(to, TITLE)


@pytest.mark.parametrize("title", ["", " ", "x" * 17, "a\\b", "ä", "a\nb"])
def test_a_title_that_is_none_is_refused(title):
    with pytest.raises(UsageError, match="--aet"):
        parse_archive("host:104", title)


def test_an_address_may_be_ipv6():
    archive = parse_archive("[::1]:104", TITLE)
    assert (archive.host, archive.port) == ("::1", 104)


def make_certificate(folder):
    """Make a self-signed certificate and its key; return the certificate."""
    need("openssl")
    folder.mkdir()
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=30)
    return folder / "cert.pem"


@pytest.fixture
def certificate(tmp_path):
    return make_certificate(tmp_path / "ours")


def test_objects_go_over_tls_to_an_archive_that_is_trusted(session, certificate):
    with misbehaving(lambda event: 0x0000, certificate=certificate) as port:
        assert (
            send(session, to=f"127.0.0.1:{port}", aet=TITLE, line=LineFlags(tls=certificate)) == 0
        )


def test_f38_without_tls_where_the_archive_wants_it_nothing_counts_as_sent(session, certificate):
    with misbehaving(lambda event: 0x0000, certificate=certificate) as port:
        assert send(session, to=f"127.0.0.1:{port}", aet=TITLE, line=LineFlags(timeout=2.0)) == 4


def test_an_archive_whose_certificate_is_not_trusted_gets_nothing(session, certificate, tmp_path):
    other = make_certificate(tmp_path / "other")
    with misbehaving(lambda event: 0x0000, certificate=certificate) as port:
        assert (
            send(session, to=f"127.0.0.1:{port}", aet=TITLE, line=LineFlags(timeout=2.0, tls=other))
            == 4
        )


def test_times_counts_and_certificates_that_make_no_sense_are_refused():
    for bad in (LineFlags(timeout=0), LineFlags(retry=-1), LineFlags(tls=Path("/nowhere.pem"))):
        with pytest.raises(UsageError):
            parse_archive("host:104", TITLE, bad)


def test_a_file_of_other_things_is_no_certificate(session, tmp_path):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    with (
        misbehaving(lambda event: 0x0000) as port,
        pytest.raises(UsageError, match=r"wrong\.pem"),
    ):
        send(session, to=f"127.0.0.1:{port}", aet=TITLE, line=LineFlags(tls=wrong))
