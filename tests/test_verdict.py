"""Facts about the clip verdict."""

from collections import Counter

from stream.analysis.verdict import judge_clip
from stream.config import AnalysisConfig
from tests.tiny_model import SPEC


def judge(**labels):
    return judge_clip(Counter(labels), 150, SPEC, AnalysisConfig(verdict_share=0.2))


def test_a_finding_in_a_fifth_of_the_frames_decides():
    assert judge(red=20, blue=80).label == "red"


def test_a_finding_in_fewer_frames_does_not():
    verdict = judge(red=19, blue=81)
    assert (verdict.label, verdict.share) == ("blue", 0.81)


def test_mostly_uncertain_frames_make_an_uncertain_clip():
    assert judge(red=5, blue=40, uncertain=55).label == "uncertain"


def test_no_valid_frame_makes_no_verdict():
    verdict = judge()
    assert (verdict.label, verdict.valid, verdict.share) == ("uncertain", 0, 0.0)


def test_the_text_gives_the_share_behind_the_verdict():
    assert judge(red=30, blue=70).text == "red in 30 of 100 valid frames (30%); 150 frames in all."
