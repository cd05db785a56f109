"""Facts about what the benchmarks of archive and reports measure with, and what they hand back."""

from benchmarks import bench_archive, bench_report
from benchmarks.archive_trees import copy_clip
from benchmarks.figures import SEEKS, measure_archive, measure_report
from benchmarks.plan import Plan
from stream.archive.scan import digest_of, scan
from stream.sources.open import open_source
from tests.clips import write_clip


def test_copies_differ_in_digest_and_show_the_same_frames(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 5)
    root = copy_clip(clip, tmp_path / "many", 101)
    recordings = scan(root)
    assert len({digest_of(root, one) for one in recordings}) == len(recordings) == 101
    with open_source(str(root / "001" / "clip0100.mp4"), session="s") as source:
        assert len(list(source)) == 5 and source.problems == ()


def test_figures_of_an_archive_become_rows_with_units_and_curves(monkeypatch):
    found = {"two_over_twice_one": [0.9, 1.0], "two_workers_hz": [90.0, 80.0], "growth_mib": [1.0]}
    monkeypatch.setattr(bench_archive, "measure", lambda quick, rounds: found)
    monkeypatch.setattr(bench_archive, "curve", lambda quick: [(10, 2.0)])
    monkeypatch.setattr(bench_archive, "workers_curve", lambda quick: [(1, 3.0)])
    part = measure_archive(Plan(quick=True))
    assert {row.name: row.unit for row in part.rows} == {
        "two_over_twice_one": "",
        "two_workers_hz": "frames/s",
        "growth_mib": "MiB",
    }
    assert part.rows[0].values == (0.9, 1.0)
    assert [curve.points[0].values for curve in part.curves] == [(2.0,), (3.0,)]


def test_reports_without_a_browser_say_why_seeks_are_not_there(monkeypatch):
    found = {bench_report.FLOOR: [2.0], bench_report.WHOLE: [8.0]}
    monkeypatch.setattr(bench_report, "measure", lambda quick, rounds: found)
    monkeypatch.setattr("shutil.which", lambda name: None)
    part = measure_report(Plan())
    assert part.ratios[0].values == (0.25,)
    assert tuple(skip.row for skip in part.skipped) == SEEKS
