"""Facts about labelled tables: what is read, what is refused and how it says so."""

import pytest

from stream.errors import UsageError
from train.data.table import read_labels, read_table, refuse_unknown

CLASSES = ("covid", "pneumonia", "regular")


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "über.png"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def write(folder, text, encoding="utf-8"):
    path = folder / "frames.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("file,label\na.png,covid\nb.png,regular\n", "utf-8"),
        ("file,label\na.png,covid\nb.png,regular\n", "utf-8-sig"),
        ("file,label\r\na.png,covid\r\n\r\nb.png,regular\r\n", "utf-8"),
        ("label;file\ncovid;a.png\nregular;b.png\n", "utf-8"),
        ('file\tlabel\n"a.png"\tcovid\n\nb.png\t"regular"\n', "utf-8"),
        ("file\tlabel\na.png\tcovid\nb.png\tregular\n", "utf-16"),
    ],
    ids=["plain", "mark", "crlf and blank line", "semicolon", "tab and quotes", "utf-16"],
)
def test_c01_table_is_read_however_it_was_written(folder, text, encoding):
    rows = read_table(write(folder, text, encoding))
    assert [(row.path.name, row.cells["label"]) for row in rows] == [
        ("a.png", "covid"),
        ("b.png", "regular"),
    ]


def test_c01_latin_1_table_is_read(folder):
    rows = read_table(write(folder, "file,label\nüber.png,covid\n", "latin-1"))
    assert rows[0].path.name == "über.png"


def test_c01_table_without_header_names_line_1(folder):
    with pytest.raises(UsageError, match=r"error\[C01\] frames.csv: line 1"):
        read_table(write(folder, "a.png,covid\nb.png,regular\n"))


def test_stated_columns_are_used_before_the_plain_ones_which_stand_in_for_absent_ones(folder):
    path = write(folder, "FILE,label,Healthy\na.png,covid,1\n")
    assert [row.cells["label"] for row in read_table(path, "imagePath", "healthy")] == ["1"]


def test_c01_column_that_is_named_twice_is_refused(folder):
    with pytest.raises(UsageError, match=r"\[C01\] frames.csv: 'file'; name each column once"):
        read_table(write(folder, "file,label,File\na.png,covid,b.png\n"))


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"file,label\n\0,x\n", "zero bytes"), (b"file,label\n" + b"x" * 200_000, "line 2: field")],
    ids=["binary", "one endless cell"],
)
def test_c01_what_is_no_csv_is_refused(folder, data, problem):
    (folder / "frames.csv").write_bytes(data)
    with pytest.raises(UsageError, match=rf"\[C01\] frames.csv: .*{problem}"):
        read_table(folder / "frames.csv")


def test_c03_names_that_cannot_be_looked_up_are_refused(folder):
    (folder / "loop.png").symlink_to("loop.png")
    with pytest.raises(UsageError, match=r"\[C03\].*line 2.*line 3"):
        read_table(write(folder, f"file,label\nloop.png,covid\n{'x' * 300}.png,covid\n"))


def test_c01_rows_of_another_length_are_listed_by_line(folder):
    with pytest.raises(UsageError, match="line 3: 1 cells; line 4: 3 cells"):
        read_table(write(folder, "file,label\na.png,covid\nb.png\nb.png,regular,1\n"))


def test_c02_unknown_labels_are_listed_with_line_and_nearest_class(folder):
    rows = read_table(write(folder, "file,label\na.png,covd\nb.png,\n"))
    labels = read_labels("frames.csv", rows, CLASSES)
    with pytest.raises(UsageError, match="line 2: 'covd', nearest 'covid'; line 3: no label"):
        refuse_unknown("frames.csv", rows, labels, CLASSES)


def test_c02_one_file_with_two_labels_is_refused(folder):
    rows = read_table(write(folder, "file,label\na.png,covid\na.png,regular\n"))
    with pytest.raises(UsageError, match=r"line 3: 'a\.png' is 'regular' and 'covid'"):
        read_labels("frames.csv", rows, CLASSES)


def test_c03_paths_that_leave_the_folder_are_refused_together(folder):
    (folder / "link.png").symlink_to("/etc/hostname")
    text = "file,label\n/etc/passwd,covid\n../x.png,covid\nlink.png,covid\ngone.png,covid\n"
    with pytest.raises(UsageError) as caught:
        read_table(write(folder, text))
    assert [word in str(caught.value) for word in ("line 2", "line 3", "line 4", "line 5")] == [
        True
    ] * 4
    assert caught.value.fault == "C03"


def test_c05_table_without_rows_is_refused(folder):
    with pytest.raises(UsageError, match=r"\[C05\]"):
        read_table(write(folder, "file,label\n"))
