"""Facts about the shapes in which labelled data comes, and what is refused in each."""

import zipfile
from pathlib import Path

import openpyxl
import pytest

from stream.errors import UsageError
from train.data.layout import Layout, read_rows
from train.data.table import read_labels

POCUS = Path("../shared/data/pocus_lung")
EXCEL = Layout(
    file_column="imagePath", label_column="Healthy", labels={"1": "healthy", "0": "unhealthy"}
)


def fill(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def write_sheet(path, lines):
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)
    book.save(path)
    return path


def cells(rows, *names):
    return [tuple(row.cells.get(name) for name in names) for row in rows]


def test_frames_csv_wins_over_other_tables(tmp_path):
    fill(tmp_path, "a.png")
    (tmp_path / "frames.csv").write_text("file,label\na.png,x\n")
    (tmp_path / "clips.csv").write_text("file,label\na.png,y\n")
    assert cells(read_rows(tmp_path), "file", "label") == [("a.png", "x")]


def test_c01_several_tables_that_could_be_meant_are_named(tmp_path):
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("file,label\n")
    (tmp_path / "notes.csv").write_text("who,when\n")
    with pytest.raises(UsageError, match=r"\[C01\].*several tables: one.csv, two.csv; name one"):
        read_rows(tmp_path)


@pytest.mark.parametrize(
    "name", ["\udcff.png", "a\tb.png", "a\nb.png"], ids=["bytes", "tab", "line end"]
)
def test_c03_name_that_lists_cannot_hold_is_refused(tmp_path, name):
    fill(tmp_path, f"x/{name}")
    with pytest.raises(UsageError, match=r"(?s)\[C03\].*not UTF-8, or not on one line"):
        read_rows(tmp_path)


def test_excel_sheet_is_read_with_its_own_column_names_and_labels(tmp_path):
    fill(tmp_path, "images/a.png", "images/b.png")
    write_sheet(tmp_path / "s.xlsx", [["imagePath", "HEALTHY"], ["a.png", 1], [], ["b.png", 0.0]])
    rows = read_rows(tmp_path, EXCEL)
    assert cells(rows, "file", "label") == [("a.png", "healthy"), ("b.png", "unhealthy")]
    assert [(row.line, row.path.parent.name) for row in rows] == [(2, "images"), (4, "images")]


def test_labels_of_a_layout_count_without_case_and_so_do_class_names(tmp_path):
    fill(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text("file,label\na.png,uf\nb.png,Fibroid\n")
    rows = read_rows(tmp_path, Layout(labels={"UF": "fibroid"}))
    assert cells(rows, "label") == [("fibroid",), ("fibroid",)]
    assert read_labels("t", rows, ("none", "FIBROID")) == [1, 1]


@pytest.mark.parametrize("data", [b"", b"file,label\n", b"PK\3\4 cut"], ids=["empty", "csv", "cut"])
def test_c01_excel_file_that_is_none_is_refused(tmp_path, data):
    (tmp_path / "s.xlsx").write_bytes(data)
    with pytest.raises(UsageError, match=r"\[C01\] s.xlsx: not an Excel workbook"):
        read_rows(tmp_path / "s.xlsx")


def test_c01_workbook_that_unpacks_to_gigabytes_is_refused_before_it_is_read(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "s.xlsx", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as member,
    ):
        for _ in range(640):
            member.write(bytes(1 << 20))
    with pytest.raises(UsageError, match="640 MiB unpacked, at most 512"):
        read_rows(tmp_path / "s.xlsx")


def test_c01_sheet_with_a_cell_far_below_is_refused(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["file", "label"])
    book.active.cell(1_000_000, 1, "a.png")
    book.save(tmp_path / "s.xlsx")
    with pytest.raises(UsageError, match="goes beyond line 200000"):
        read_rows(tmp_path / "s.xlsx")


def test_c03_sheet_names_the_line_of_an_absent_file(tmp_path):
    write_sheet(tmp_path / "s.xlsx", [["imagePath", "Healthy"], [], ["gone.png", 1]])
    with pytest.raises(UsageError, match=r"\[C03\] s.xlsx: line 3: 'gone.png' is absent"):
        read_rows(tmp_path, EXCEL)


def test_class_folders_give_labels_and_stills_in_a_folder_are_one_clip(tmp_path):
    fill(tmp_path, "red/1.png", "red/case/10.png", "red/case/9.png", "blue/c.mp4", ".x/a.png")
    assert cells(read_rows(tmp_path), "file", "label", "source") == [
        ("blue/c.mp4", "blue", "blue/c.mp4"),
        ("red/1.png", "red", "red/1.png"),
        ("red/case/9.png", "red", "red/case"),
        ("red/case/10.png", "red", "red/case"),
    ]


def test_split_folders_give_the_split(tmp_path):
    fill(tmp_path, "train/UF/1.png", "test/NUF/2.png", "test/UF/case/3.png")
    rows = read_rows(tmp_path, Layout(labels={"UF": "fibroid", "NUF": "none"}))
    assert cells(rows, "split", "label", "source") == [
        ("test", "none", "test/NUF/2.png"),
        ("test", "fibroid", "test/UF/case"),
        ("train", "fibroid", "train/UF/1.png"),
    ]


@pytest.mark.parametrize("above", ["", "valid/"])
def test_mura_tree_gives_region_patient_study_and_label(tmp_path, above):
    fill(
        tmp_path,
        f"{above}XR_ELBOW/patient00011/study1_positive/image1.png",
        f"{above}XR_WRIST/patient00011/study2_negative/image1.png",
    )
    (tmp_path / "train_image_paths.csv").write_text("XR_ELBOW/a.png\n")
    found = cells(read_rows(tmp_path), "label", "patient", "source", "region", "split")
    split = "valid" if above else None
    assert found == [
        ("positive", "00011", f"{above}XR_ELBOW/patient00011/study1_positive", "elbow", split),
        ("negative", "00011", f"{above}XR_WRIST/patient00011/study2_negative", "wrist", split),
    ]


@pytest.mark.parametrize(
    ("names", "lost"),
    [
        (("red/1.png", "2.png"), "2.png"),
        (("train/red/1.png", "train/2.png"), "train/2.png"),
        (("train/red/1.png", "more/red/2.png"), "more/red/2.png"),
        (("XR_HAND/patient1/study1_positive/1.png", "XR_HAND/2.png"), "XR_HAND/2.png"),
    ],
    ids=["class folders", "split folders", "folder beside splits", "mura"],
)
def test_c02_picture_whose_place_gives_no_label_is_named(tmp_path, names, lost):
    with pytest.raises(UsageError, match=rf"\[C02\].*: {lost} has no label"):
        read_rows(fill(tmp_path, *names))


def test_c03_links_in_folders_are_refused_together(tmp_path):
    root, outside = fill(tmp_path / "in", "red/1.png"), fill(tmp_path / "out", "x.png")
    (root / "red/2.png").symlink_to(outside / "x.png")
    (root / "red/3.png").symlink_to("gone.png")
    (root / "blue").symlink_to(outside)
    with pytest.raises(UsageError) as caught:
        read_rows(root)
    assert caught.value.fault == "C03"
    for problem in (
        "red/2.png is a link out of the folder",
        "red/3.png is absent",
        "blue is a link to a folder",
    ):
        assert problem in str(caught.value)


def test_c05_empty_class_folder_and_empty_place_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\[C05\].*holds no picture and no clip"):
        read_rows(tmp_path)
    fill(tmp_path, "red/1.png", "blue/notes.txt")
    with pytest.raises(UsageError, match=r"\[C05\].*: blue holds no picture and no clip; fill"):
        read_rows(tmp_path)


@pytest.mark.skipif(not POCUS.is_dir(), reason="../shared/data is absent")
def test_real_folder_is_read_through_its_frames_table():
    assert len(read_rows(POCUS)) == 1491
