"""Facts about what the archive benchmark measures with."""

import pytest

from benchmarks import bench_archive
from benchmarks.archive_trees import copy_clip
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


@pytest.mark.parametrize(("ratio", "missed"), [(0.9, 0), (0.89, 1)])
def test_a_missed_budget_is_named(tmp_path, monkeypatch, ratio, missed):
    budgets = tmp_path / "budgets.toml"
    budgets.write_text("[archive.at_least]\ntwo = 0.9\n[archive.at_most]\ncost = 1.1\n")
    monkeypatch.setattr(bench_archive, "BUDGETS", budgets)
    assert len(bench_archive.judge({"two": ratio, "cost": 1.1})) == missed
