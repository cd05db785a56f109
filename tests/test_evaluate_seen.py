"""Facts about telling figures of training data from figures of new data."""

import hashlib

import cv2
import numpy as np
import pytest

from stream.sources.phantom import parse_phantom
from tests.tiny_model import save_tiny
from train.data.samples import Sample, list_lines
from train.data.seen import LIST_NAME, find_seen
from train.data.testset import Truth
from train.scoring.evaluate import ask_model, evaluate_model, judge
from train.scoring.evaluation import draw_evaluation, write_evaluation


def write_still(path, grey):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((80, 80, 3), (40, 20, grey), np.uint8))
    return path


def write_list(folder, lines):
    """Write a training list and return the digest that a model would state."""
    (folder / LIST_NAME).write_text("\n".join(lines) + "\n")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.fixture
def stills(tmp_path):
    """Three stills below a folder of classes."""
    return [write_still(tmp_path / "set" / "red" / f"{g}.png", g) for g in (150, 180, 210)]


def trained_on(tmp_path, stills):
    """Write a model that was trained on these stills."""
    samples = [Sample(str(path), 0, 1, "p", "", path.name) for path in stills]
    return save_tiny(tmp_path, data_digest=write_list(tmp_path, list_lines(samples)))


def test_renamed_training_stills_are_found_and_announced_everywhere(tmp_path, stills):
    model = trained_on(tmp_path, stills[:2])
    stills[0].rename(stills[0].with_name("new name.png"))
    answers = ask_model(model, [str(tmp_path / "set")])
    found = judge(answers)
    assert found.seen == 2
    assert found.banner.startswith("FIGURES FROM TRAINING DATA: 2 of 3 frames")
    assert draw_evaluation(found).startswith(f"**{found.banner}**")
    write_evaluation(found, answers, tmp_path / "out")
    rows = (tmp_path / "out" / "predictions.csv").read_text().splitlines()[1:]
    assert sorted(row.rsplit(",", 1)[1] for row in rows) == ["no", "yes", "yes"]


def test_new_frames_have_no_banner(tmp_path, stills):
    model = trained_on(tmp_path, stills[:2])
    stills[0].unlink()
    stills[1].unlink()
    found = evaluate_model(model, [str(tmp_path / "set")])
    assert (found.banner, found.seen, found.related) == ("", 0, 0)
    assert found.origin == "0 of 1 frames are in the model's training list."


def test_absent_or_foreign_list_cannot_tell(tmp_path, stills):
    model = save_tiny(tmp_path)
    found = evaluate_model(model, [str(tmp_path / "set")])
    assert (found.seen, found.banner) == (None, "")
    assert found.origin.endswith("trained-on.tsv is not beside it.")
    write_list(tmp_path, ["a\ta.png\t0\t0\tp"])
    found = evaluate_model(model, [str(tmp_path / "set")])
    assert found.origin.endswith("trained-on.tsv is not the list that the model names.")


def test_frames_of_a_training_clip_are_found_by_clip_and_index(tmp_path):
    digest = write_list(tmp_path, ["a/x.mp4\tx.mp4\t3\t0\tp"])
    truths = [Truth("a/x.mp4", "x.mp4", 3, "q", 0), Truth("a/x.mp4", "x.mp4", 4, "q", 0)]
    moved = Truth("b/x.mp4", "x.mp4", 3, "q", 0)
    found = find_seen(tmp_path / "m.onnx", digest, [*truths, moved])
    assert (found.frames, found.related) == ((True, False, False), 2)
    assert "2 more are of clips" in found.banner


def test_clip_that_stills_were_cut_from_is_found_by_name(tmp_path):
    still = write_still(tmp_path / "x_frame3.png", 99)
    digest = write_list(tmp_path, list_lines([Sample(str(still), 0, 0, "p", "", "x.avi")]))
    found = find_seen(tmp_path / "m.onnx", digest, [Truth("videos/x.avi", "x.avi", 0, "q", 0)])
    assert (found.frames, found.related) == ((False,), 1)


def test_changed_still_of_a_clip_that_is_no_file_name_is_announced(tmp_path):
    digest = write_list(tmp_path, ["clip 7\ta.png\t0\t0\tp\t00"])
    found = find_seen(tmp_path / "m.onnx", digest, [Truth("clip 7", "a.png", 0, "p", 0, "11")])
    assert (found.frames, found.related) == ((False,), 1)


def test_still_of_no_clip_is_not_related_to_its_namesake(tmp_path):
    digest = write_list(tmp_path, ["x/a.png\ta.png\t0\t0\tp\t00"])
    found = find_seen(tmp_path / "m.onnx", digest, [Truth("x/a.png", "a.png", 0, "q", 0, "11")])
    assert (found.frames, found.banner) == ((False,), "")


def test_phantom_of_a_training_seed_is_seen_whatever_frame_it_is(tmp_path):
    uri = parse_phantom("phantom:kidney?seed=7").uri
    digest = write_list(tmp_path, list_lines([Sample(uri, 5, 0, "seed 7", "", uri)]))
    other = [parse_phantom(f"phantom:{rest}").uri for rest in ("kidney?seed=8", "ovary?seed=7")]
    truths = [Truth(place, place, 1, "seed", 0) for place in (uri, *other)]
    assert find_seen(tmp_path / "m.onnx", digest, truths).frames == (True, False, False)


def test_people_whose_names_are_in_the_list_are_counted(tmp_path):
    digest = write_list(tmp_path, ["a.mp4\ta.mp4\t0\t0\tpatient 7"])
    found = find_seen(tmp_path / "m.onnx", digest, [Truth("b.mp4", "b.mp4", 0, "patient 7", 0)])
    assert found.banner == ""
    assert found.origin.endswith("People whose names are in it: 1.")


def test_damaged_list_cannot_tell(tmp_path):
    for line, why in (("one field", "five or six"), ("phantom:x\ty\t0\t0\tp", "cannot be read")):
        digest = write_list(tmp_path, [line])
        found = find_seen(tmp_path / "m.onnx", digest, [Truth("a", "a", 0, "p", 0)])
        assert found.frames is None
        assert why in found.origin
