"""Facts about measuring a model on data nobody here has seen, with the hand-worked model."""

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import openpyxl
import pytest

from stream.errors import SourceError, UsageError
from tests.tiny_model import save_tiny
from train.data.layout import Layout
from train.scoring import evaluation
from train.scoring.evaluate import Evaluation, ask_model, evaluate_model, judge
from train.scoring.evaluation import claim_folder, draw_evaluation, write_evaluation

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


def test_files_and_people_of_equal_names_in_two_folders_are_not_one(model, tmp_path):
    for place, colour in (("one", "red"), ("two", "blue")):
        write_still(tmp_path / place / "red" / "1.png", colour)
    found = evaluate_model(model, [str(tmp_path / "one"), str(tmp_path / "two")])
    assert (found.clips.count, found.people.count, found.people.groups) == (2, 2, 2)


def test_file_that_is_listed_twice_counts_once(model, table):
    found = evaluate_model(model, [str(table), str(table)])
    assert (found.frames.count, found.people.groups) == (4, 2)


def test_c02_file_that_two_tables_label_differently_is_refused(model, table):
    other = table.with_name("other.csv")
    other.write_text("file,label\n0.png,blue\n")
    with pytest.raises(UsageError, match=r"\[C02\].*0.png has two labels"):
        evaluate_model(model, [str(table), str(other)])


def test_c02_unknown_labels_are_refused_or_counted(model, table):
    table.write_text(table.read_text().replace("1.png,blue", "1.png,viral"))
    with pytest.raises(UsageError, match=r"\[C02\].*line 3: 'viral'"):
        evaluate_model(model, [str(table)])
    found = evaluate_model(model, [str(table)], ignore_unknown=True)
    assert (found.ignored, found.frames.count) == ({"viral": 1}, 3)


def test_labels_are_read_as_the_layout_says(model, table):
    table.write_text("file,reddish\n0.png,1\n1.png,0\n")
    layout = Layout(label_column="reddish", labels={"1": "red", "0": "blue"})
    answers = ask_model(model, [str(table)], layout=layout)
    assert sorted(answers.scored.labels) == [0, 1]


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


def test_frames_of_one_person_are_one_prediction_per_label(model, table):
    found = evaluate_model(model, [str(table)])
    assert (found.people.count, found.people.groups) == (3, 2)  # the first person has both labels


def test_figures_do_not_depend_on_the_order_of_the_table(model, table):
    first = msgspec.json.encode(evaluate_model(model, [str(table)]))
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *rows[::-1]]) + "\n")
    assert msgspec.json.encode(evaluate_model(model, [str(table)])) == first


def test_written_evaluation_reads_back(model, table, tmp_path):
    answers = ask_model(model, [str(table)])
    found = judge(answers)
    write_evaluation(found, answers, tmp_path / "out")
    written = (tmp_path / "out" / "evaluation.json").read_bytes()
    assert msgspec.json.decode(written, type=Evaluation) == found
    names = {path.stem for path in (tmp_path / "out" / "figures").iterdir()}
    assert names == {"confusion", "roc", "pr", "reliability", "tsne"}


def test_predictions_are_written_one_frame_a_line_and_never_as_formulas(model, tmp_path):
    write_still(tmp_path / "=1+1.png", "red")
    (tmp_path / "t.csv").write_text("file,label\n=1+1.png,blue\n")
    answers = ask_model(model, [str(tmp_path / "t.csv")])
    write_evaluation(judge(answers), answers, tmp_path / "out")
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["name"], row["truth"], row["predicted"]) == ("'=1+1.png", "blue", "red")
    assert float(row["probability red"]) == pytest.approx(answers.scored.probs[0, 1], abs=1e-6)
    sheet = openpyxl.load_workbook(tmp_path / "out" / "predictions.xlsx").active
    assert (sheet["B2"].value, sheet["B2"].data_type) == ("=1+1.png", "s")


def test_without_its_libraries_pictures_and_workbook_are_left_out_and_said(
    model, table, tmp_path, monkeypatch
):
    monkeypatch.setattr(evaluation, "find_spec", lambda name: None)
    answers = ask_model(model, [str(table)])
    said = write_evaluation(judge(answers), answers, tmp_path / "out")
    assert [sentence.split(":")[0] for sentence in said] == ["No predictions.xlsx", "No figures"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"evaluation.json", "evaluation.md", "predictions.csv"}


def test_c08_folder_inside_the_data_is_refused(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(UsageError, match=r"\[C08\].*inside the data"):
        claim_folder(tmp_path / "set" / "out", [str(tmp_path / "set")])
    claim_folder(tmp_path / "out", [str(tmp_path / "set"), "phantom:kidney"])
    assert list((tmp_path / "out").iterdir()) == []


def test_c08_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for out in (tmp_path / "file", tmp_path / ("x" * 300)):
        with pytest.raises(UsageError, match=r"\[C08\].*cannot be written"):
            claim_folder(out, [])


def test_table_shows_every_level_and_marks_the_positive_class(model, table):
    text = draw_evaluation(evaluate_model(model, [str(table)]))
    assert "| people | 3 | 2 | 0.667 (" in text
    assert "Only 2 people: too few" in text
    assert "| person | red (positive) |" in text


def test_evaluate_and_pointing_import_no_torch():
    scoring = ", ".join(f"train.scoring.{name}" for name in ("evaluate", "evaluation", "pointing"))
    modules = f"{scoring}, train.figures.standard, train.cli"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
