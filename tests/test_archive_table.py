"""Facts about the archive's table as CSV, sheet and page."""

import csv
import io

import openpyxl
import pytest

from stream.archive.eyes import rank_entries
from stream.archive.records import Found
from stream.archive.rows import Row
from stream.archive.table import (
    COLUMNS,
    build_cells,
    encode_csv,
    encode_excel,
    encode_page,
    entry_of,
)
from tests.test_archive_eyes import entry

HOSTILE = '=HYPERLINK("http://x","<script>alert(\'1\')</script>").mp4'


def rows(*entries, report=True):
    return [build_cells(line, report=report) for line in rank_entries(entries)]


def read_csv(data):
    return list(csv.DictReader(io.StringIO(data.decode())))


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "＝"])  # noqa: RUF001
def test_no_cell_of_the_csv_is_a_formula(first):
    (row,) = read_csv(encode_csv(rows(entry(f"{first}1+1.mp4"))))
    assert row["path"] == f"'{first}1+1.mp4"


def test_v23_control_and_undecodable_bytes_of_a_path_are_shown_as_escapes():
    found = Found(b"a\r\n=1\t\xff.mp4", "file", 1, 1)
    made = entry_of(Row(found, "s", "todo", False, "", None, "", "", None))
    (row,) = read_csv(encode_csv(rows(made)))
    assert row["path"] == r"a\r\n=1\t\udcff.mp4"


def test_numbers_of_the_csv_are_plain():
    (row,) = read_csv(encode_csv(rows(entry(peak=0.123456, share=1 / 3, duration_s=None))))
    assert (row["highest_probability"], row["share"]) == ("0.1235", "0.3333")
    assert (row["frames"], row["duration_s"], row["rank"]) == ("50", "", "1")


def test_the_sheet_holds_texts_as_texts_and_links_the_report():
    sheet = openpyxl.load_workbook(io.BytesIO(encode_excel(rows(entry(HOSTILE))))).active
    cell = sheet.cell(2, 1 + COLUMNS.index("path"))
    assert (cell.value, cell.data_type) == (HOSTILE, "s")
    link = sheet.cell(2, 1 + COLUMNS.index("report")).hyperlink
    assert link.target == "sessions/s/report/index.html"


def test_the_page_escapes_names_and_has_no_script():
    ranked = rank_entries([entry(HOSTILE)])
    page = encode_page(ranked, [build_cells(line, report=True) for line in ranked]).decode()
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "default-src 'none'" in page and 'href="sessions/s/report/index.html"' in page


def test_the_same_rows_give_the_same_bytes():
    ranked = rank_entries([entry("a"), entry("b", "failed", "worker lost")])
    cells = [build_cells(line, report=True) for line in ranked]
    assert encode_csv(cells) == encode_csv(list(cells))
    assert encode_page(ranked, cells) == encode_page(ranked, cells)


def test_a_table_without_reports_links_the_session():
    ranked = rank_entries([entry()])
    cells = [build_cells(line, report=False) for line in ranked]
    assert cells[0]["report"] is None
    assert 'href="sessions/s/"' in encode_page(ranked, cells).decode()
