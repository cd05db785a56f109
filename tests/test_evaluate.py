"""Facts about measuring a model on data nobody here has seen, with the hand-worked model."""

import subprocess
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from stream.errors import SourceError, UsageError
from tests.tiny_model import save_tiny
from train.evaluate import Evaluation, evaluate_model, write_evaluation

VIDEO = Path("../shared/data/pocus_lung/videos/convex/Pneu_liftl_pneu_case3_clip3.mp4")
COLOURS_BGR = {"red": (40, 20, 220), "blue": (220, 20, 40)}


def write_still(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((80, 80, 3), COLOURS_BGR[colour], np.uint8))


@pytest.fixture
def model(tmp_path):
    return save_tiny(tmp_path)


@pytest.fixture
def table(tmp_path):
    """Four stills of two people; the last one, blue, is called red."""
    rows = ["file,label,patient,source,fold,licence"]
    for number, (colour, label) in enumerate(
        [("red", "red"), ("blue", "blue"), ("red", "red"), ("blue", "red")]
    ):
        write_still(tmp_path / f"{number}.png", colour)
        rows.append(f"{number}.png,{label},{number // 2},clip{number // 2},4,CC BY 4.0")
    path = tmp_path / "frames.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_table_of_stills_is_measured_per_frame_and_per_clip(model, table):
    found = evaluate_model(model, [str(table)])
    assert (found.frames.count, found.frames.groups, found.frames.accuracy.value) == (4, 2, 0.75)
    assert found.frames.confusion == [[1, 0], [1, 2]]
    assert found.clips.count == 3  # the first clip has both labels


def test_folder_of_class_folders_is_measured(model, tmp_path):
    write_still(tmp_path / "set" / "red" / "one.png", "red")
    write_still(tmp_path / "set" / "blue" / "clip" / "1.png", "blue")
    write_still(tmp_path / "set" / "blue" / "clip" / "2.png", "blue")
    found = evaluate_model(model, [str(tmp_path / "set")])
    assert (found.frames.count, found.clips.count, found.frames.accuracy.value) == (3, 2, 1.0)


def test_c02_unknown_labels_are_refused_or_counted(model, table):
    table.write_text(table.read_text().replace("1.png,blue", "1.png,viral"))
    with pytest.raises(UsageError, match=r"\[C02\].*line 3: 'viral'"):
        evaluate_model(model, [str(table)])
    found = evaluate_model(model, [str(table)], ignore_unknown=True)
    assert (found.ignored, found.frames.count) == ({"viral": 1}, 3)


def test_still_that_is_no_picture_is_reported_and_left_out(model, table):
    (table.parent / "0.png").write_bytes(b"no picture")
    found = evaluate_model(model, [str(table)])
    assert found.frames.count == 3
    assert "0.png" in found.problems[0]


def test_nothing_readable_is_an_error(model, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "t.csv").write_text("file,label\na.png,red\n")
    with pytest.raises(SourceError, match="no frame could be used"):
        evaluate_model(model, [str(tmp_path / "t.csv")])


def test_phantom_with_a_foreign_finding_is_refused(model):
    with pytest.raises(UsageError, match="classes are blue, red"):
        evaluate_model(model, ["phantom:kidney?seed=1"])


@pytest.mark.skipif(not VIDEO.is_file(), reason="../shared/data is absent")
def test_real_clip_counts_every_frame_for_one_clip(model, tmp_path):
    (tmp_path / "set" / "red").mkdir(parents=True)
    (tmp_path / "set" / "red" / VIDEO.name).write_bytes(VIDEO.read_bytes())
    found = evaluate_model(model, [str(tmp_path / "set")])
    assert (found.frames.count, found.clips.count) == (25, 1)


def test_written_evaluation_reads_back(model, table, tmp_path):
    found = evaluate_model(model, [str(table)])
    write_evaluation(found, tmp_path / "out")
    assert (
        msgspec.json.decode((tmp_path / "out" / "evaluation.json").read_bytes(), type=Evaluation)
        == found
    )


def test_evaluate_and_pointing_import_no_torch():
    code = "import sys, train.evaluate, train.pointing, train.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
