import base64
import csv
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from stream.errors import StorageError
from stream.report.html import encode_html
from stream.report.tables import encode_csv, encode_json
from stream.report.wording import balance_words, printable
from stream.report.write import FORMATS, write_report
from tests.report_content import build_content

SMALL = (160, 120)
HOSTILE = "<script>alert('x')</script>\"\n\u202e\udcff.mp4"


class Attributes(HTMLParser):
    """Collects tags and (name, value) of every attribute."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.pairs = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.pairs += attrs


def render(**options):
    return encode_html(build_content(**{"size_wh": SMALL, **options})).decode()


def test_written_files_have_fixed_names_and_the_page_comes_last(tmp_path):
    content = build_content(size_wh=SMALL, keys=2, clip_name=HOSTILE)
    written = write_report(content, tmp_path / "report")
    assert [path.name for path in written] == [
        "predictions.csv", "report.json",
        "frame_1.png", "frame_1_plain.png", "frame_1_map.png",
        "frame_2.png", "frame_2_plain.png", "frame_2_map.png", "index.html",
    ]  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == sorted(
        path.name for path in written
    )


def test_same_content_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_report(build_content(size_wh=SMALL, keys=2), tmp_path / name, frozenset(FORMATS))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("format_", "names"),
    [
        ("csv", ["predictions.csv", "report.json"]),
        ("png", ["frame_1.png", "frame_1_plain.png", "frame_1_map.png"]),
        ("pdf", ["report.pdf"]),
        ("html", ["index.html"]),
    ],
)
def test_each_format_is_written_alone(tmp_path, format_, names):
    written = write_report(build_content(size_wh=SMALL, keys=1), tmp_path, frozenset({format_}))
    assert [path.name for path in written] == names


def test_f37_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "report").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=r"error\[F37\].*report") as caught:
        write_report(build_content(size_wh=SMALL, keys=0), tmp_path / "report")
    assert caught.value.exit_code == 6


def test_f37_a_failed_write_leaves_neither_the_file_nor_its_temporary_name(tmp_path):
    (tmp_path / "predictions.csv").mkdir()
    with pytest.raises(StorageError, match=r"predictions\.csv"):
        write_report(build_content(size_wh=SMALL, keys=0), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_page_refers_to_nothing_outside_itself():
    page = render()
    links = [v for n, v in Attributes(page).pairs if n in ("src", "href", "srcset", "action")]
    inside = {f"#frame-{rank}" for rank in range(1, 6)} | {"#strip"}
    assert {link for link in links if not link.startswith("data:image/")} == inside
    assert set(re.findall(r"url\(([^)]*)\)", page)) == {"#hatch"}
    assert not re.search(r"https?:|@import|<script [^>]*src|<link|<iframe|fetch|XMLHttp", page)


def test_page_runs_no_script_but_its_own():
    page = render(keys=1)
    policy = re.search(r"script-src 'sha256-([^']*)'; img-src", page)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert policy
    assert [
        base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts
    ] == [policy[1]]


def test_page_allows_only_its_own_style_and_script_and_embedded_images():
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', render(keys=0))
    assert policy
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]


def test_page_stays_below_8_mb_for_five_noisy_4096_frames():
    content = build_content(size_wh=SMALL)
    noise = np.random.default_rng(0).integers(0, 256, (4096, 4096, 3), dtype=np.uint8)
    saliency = np.tile(np.linspace(0, 1, 4096, dtype=np.float32), (4096, 1))
    keys = tuple(
        dataclasses.replace(key, image=noise, saliency=saliency) for key in content.key_frames
    )
    assert len(encode_html(dataclasses.replace(content, key_frames=keys))) < 8_000_000


def test_v23_hostile_clip_name_is_shown_as_text():
    page = render(keys=1, clip_name=HOSTILE)
    assert Attributes(page).tags.count("script") == 1
    shown = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&#34;\\n\\u202e\\udcff.mp4"
    assert f"<h1><bdi>{shown}</bdi></h1>" in page


def test_hostile_class_names_are_shown_as_text():
    page = render(keys=1, classes=("<b onload=x>", "</svg><script>"))
    tags = Attributes(page).tags
    assert (tags.count("b"), tags.count("script")) == (0, 1)


def test_every_image_has_a_text():
    parsed = Attributes(render())
    assert parsed.tags.count("img") == sum(n == "alt" and bool(v) for n, v in parsed.pairs) == 11


@pytest.mark.parametrize("partial", [True, False])
def test_partial_input_is_marked(partial):
    content = dataclasses.replace(
        build_content(size_wh=SMALL, keys=0),
        partial=partial,
        problems=("[V06] 44 of 90 frames",),
    )
    page = encode_html(content).decode()
    assert (">PARTIAL<" in page) is partial
    assert "<li>[V06] 44 of 90 frames</li>" in page


def test_page_says_that_it_is_no_medical_device():
    assert render(keys=0).count("Not a medical device") == 2


def test_no_key_frames_at_all_is_said():
    assert "No frame could be kept" in render(keys=0)


def test_d09_clip_without_a_clock_shows_frame_numbers():
    page = render(has_time=False)
    assert "the source has no clock" in page
    assert not re.search(r"\d s · frame", page)


@pytest.mark.parametrize("count", [3, 8])
def test_each_key_frame_lists_every_class(count):
    page = render(keys=2, classes=tuple(f"finding {i}" for i in range(count)))
    for index in range(count):
        assert page.count(f'<th scope="row">finding {index}</th><td class="number">0') == 2


def test_ledger_is_written_as_a_sum():
    ledger = {"grabbed": 12, "analysed": 9, "invalid_frame": 3, "not_recorded": 0}
    assert balance_words(ledger) == ("grabbed 12 = analysed 9 + invalid frame 3", True)


def test_ledger_that_does_not_balance_is_said():
    content = dataclasses.replace(
        build_content(size_wh=SMALL, keys=0), ledger={"grabbed": 12, "analysed": 9}
    )
    page = encode_html(content).decode()
    assert "grabbed 12 ≠ analysed 9: +3 unaccounted for" in page
    assert "DOES NOT BALANCE" in page


def test_printable_keeps_letters_and_escapes_the_rest():
    assert printable("Ärzte 中\t\u202e\udcff") == "Ärzte 中\\t\\u202e\\udcff"


def test_csv_has_one_row_per_frame_and_fixed_digits():
    text = encode_csv(build_content(size_wh=SMALL, keys=0, frames=40)).decode()
    rows = list(csv.reader(text.splitlines()))
    assert "\r" not in text
    assert rows[0] == [
        "seq", "time_s", "state", "label", "prob_dilated pelvis", "prob_normal kidney",
        "smoothed_dilated pelvis", "smoothed_normal kidney",
    ]  # fmt: skip
    assert len(rows) == 41
    assert rows[16][:3] == ["15", "0.500000", "ok"]


def test_csv_cells_are_empty_without_answer_or_clock():
    content = build_content(size_wh=SMALL, keys=0, frames=40, has_time=False)
    row = list(csv.reader(encode_csv(content).decode().splitlines()))[1 + 35]
    assert row == ["35", "", "no_signal", "", "", "", "", ""]


def test_json_has_the_numbers_of_every_key_frame():
    report = json.loads(encode_json(build_content(size_wh=SMALL)))
    assert [key["rank"] for key in report["key_frames"]] == [1, 2, 3, 4, 5]
    assert report["key_frames"][0]["score"] == 0.93
    assert report["pixel_spacing_mm"] is None
    assert set(report["key_frames"][0]["probs"]) == {"dilated pelvis", "normal kidney"}
    assert report["ledger"] == {"grabbed": 366, "analysed": 351, "invalid_frame": 15}
    assert report["frames_by_state"] == {
        "ok": 345, "no_signal": 12, "not_ultrasound": 6, "damaged": 3,
    }  # fmt: skip


def test_v23_json_keeps_the_original_name_but_for_undecodable_bytes():
    report = json.loads(encode_json(build_content(size_wh=SMALL, keys=0, clip_name=HOSTILE)))
    assert report["clip"] == HOSTILE.replace("\udcff", "\\udcff")


def test_report_of_a_clip_whose_frames_are_all_invalid(tmp_path):
    content = build_content(size_wh=SMALL, keys=0, frames=20)
    nothing = np.full_like(content.timeline.probs, np.nan)
    line = dataclasses.replace(
        content.timeline, probs=nothing, smoothed=nothing,
        state=("no_signal",) * 20, label=("",) * 20,
    )  # fmt: skip
    written = write_report(dataclasses.replace(content, timeline=line), tmp_path)
    page = Path(written[-1]).read_text()
    assert "No frame has a probability" in page
    assert '<rect class="invalid" x="46.0" y="48" width="898.0"' in page
