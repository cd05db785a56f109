"""Facts about what an audit calls a problem, and how it is told."""

import cv2
import msgspec
import numpy as np
import pytest

from stream.cli import main
from tests.clips import write_clip
from tests.pictures import speckle, write_picture
from train.audit import Leak, audit_rows, summarise_audit
from train.audit.content import Pair
from train.audit.page import encode_page
from train.data.layout import Layout, read_rows


@pytest.fixture
def audit(tmp_path):
    """Return what audits pictures that are all different, given the lines of their table."""

    def run(head, *lines):
        for number, _ in enumerate(lines):
            write_picture(tmp_path / f"{number}.png", speckle(number))
        rows = [f"{number}.png,{line}" for number, line in enumerate(lines)]
        (tmp_path / "labels.csv").write_text("\n".join([f"file,{head}", *rows]))
        return audit_rows(read_rows(tmp_path), tmp_path)

    return run


def test_c02_labels_that_differ_in_case_only_are_a_problem(audit):
    assert audit("label", "Ill", "ill", "well").problems == (
        "labels that differ in case only: Ill, ill",
    )


def test_c02_frame_without_a_label_is_a_problem(audit):
    assert audit("label", "ill", "", "well").problems == ("frames without a label: 1",)


def test_c05_data_of_one_class_are_a_problem(audit):
    assert audit("label", "ill", "ill").problems == ("fewer than two classes: ill",)


def test_c05_part_without_a_class_is_a_problem(audit):
    found = audit("label,fold", "ill,0", "well,0", "well,1")
    assert found.problems == ("fold 1: no frame of ill",)


def test_frames_in_no_part_are_a_problem_but_leak_nothing(audit):
    found = audit("label,split,patient", "ill,train,7", "well,train,8", "ill,,7")
    assert found.leaks == {"split": ()}
    assert found.problems == ("frames with no split: 1",)


def test_copy_in_no_part_is_not_in_another_part(audit, tmp_path):
    audit("label,split", "ill,train", "ill,")
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes())
    found = audit_rows(read_rows(tmp_path), tmp_path)
    assert [part.copied for part in found.parts] == [0, 0]


def test_files_that_cannot_be_read_are_named_with_their_fault(audit, tmp_path):
    audit("label", "ill", "well", "ill")
    (tmp_path / "2.png").write_bytes(b"no picture")
    found = audit_rows(read_rows(tmp_path), tmp_path)
    assert found.problems == ("files that cannot be read: 1 (2.png: not an image)",)
    assert "\n1 problem:\n" in summarise_audit(found)


def test_text_in_a_picture_is_a_problem_for_it_may_name_the_finding(audit, tmp_path):
    audit("label", "ill", "well")
    black = np.zeros((120, 160), np.uint8)
    cv2.putText(black, "CYST 12", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 230, 1)
    write_picture(tmp_path / "1.png", black)
    found = audit_rows(read_rows(tmp_path), tmp_path)
    assert found.problems == ("frames with burned-in text: 1 (1.png)",)


def test_files_of_copies_are_all_named_up_to_five(audit, tmp_path):
    audit("label", "ill", "well")
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes())
    found = audit_rows(read_rows(tmp_path), tmp_path)
    assert found.problems == ("pairs of byte copies with different labels: 1 (0.png, 1.png)",)


def test_summary_shows_a_name_on_one_line(audit):
    found = msgspec.structs.replace(audit("label", "a", "b"), problems=("\x1b[31m\n",))
    assert summarise_audit(found).splitlines()[-1] == "- ?[31m "


def test_every_patient_in_two_parts_is_told_and_the_first_five_are_shown(audit):
    lines = [f"{'ab'[n % 2]},{part},{n}" for part in "01" for n in range(6)]
    (leak,) = audit("label,fold,patient", *lines).leaks["fold"]
    assert leak == Leak("patient", ("0", "1"), 6, tuple("012345"))
    assert str(leak) == "6 patients in 0 and 1 (0, 1, 2, 3, 4, ...)"


def test_frames_of_one_clip_are_listed_by_number_and_not_pictured(tmp_path):
    (tmp_path / "a").mkdir()
    write_clip(tmp_path / "a/one.mp4", 12)
    found = audit_rows(read_rows(tmp_path), tmp_path, Layout(frames_per_clip=2))
    files, labels = ("a/one.mp4", "a/one.mp4"), ("a", "a")
    pair = Pair(files, (3, 7), labels, ("", ""), 0.95, "near")
    page = encode_page(msgspec.structs.replace(found, pairs=(pair,))).decode()
    assert "<bdi>a/one.mp4</bdi> frame 3" in page
    assert "data:image" not in page


def test_c08_audit_is_not_written_into_the_data(audit, tmp_path, capsys):
    audit("label", "a", "b")
    assert main(["audit", str(tmp_path), "--out", str(tmp_path / "result")]) == 2
    assert "lies inside the data" in capsys.readouterr().err
    assert not (tmp_path / "result").exists()


def test_audit_does_not_depend_on_the_order_of_rows(audit, tmp_path):
    lines = [f"{'ab'[n % 2]},{n % 3}" for n in range(12)]
    found = audit("label,fold", *lines)
    assert audit_rows(read_rows(tmp_path)[::-1], tmp_path) == found
