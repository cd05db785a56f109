"""Facts about what capture notices of each picture, and about live time."""

import numpy as np
import pytest

from engines.pixels import Pixels
from stream.clock import MS
from stream.live.capture.judge import SAMPLES, CaptureJudge
from stream.sources.live.base import Grabbed

RNG = np.random.default_rng(0)
STILL = RNG.integers(0, 256, (480, 640), dtype=np.uint8)
DAY_NS = 24 * 3600 * 1000 * MS


def grabbed(captured_ns, image=STILL, pts_ns=None):
    """Return a grey picture as it came."""
    return Grabbed(Pixels((image,)), captured_ns, pts_ns)


def periods(times_ns):
    """Return the measured period after each picture."""
    judge = CaptureJudge()
    return [judge.take(grabbed(time_ns)).period_ns for time_ns in times_ns]


def frozen(judge, times_ns, image=STILL, box=None):
    """Return whether each of some identical pictures is frozen."""
    return [judge.take(grabbed(time_ns, image), box).frozen for time_ns in times_ns]


def ticks(start_ns, stop_ns, period_ns=40 * MS):
    """Return capture times."""
    return range(start_ns, stop_ns, period_ns)


def test_f15_identical_pictures_are_frozen_after_a_second():
    found = frozen(CaptureJudge(), ticks(0, 2000 * MS))
    assert found.index(True) == 26  # the first one later than 1000 ms
    assert all(found[26:])


def test_f15_the_first_picture_that_differs_ends_it():
    judge = CaptureJudge()
    frozen(judge, ticks(0, 2000 * MS))
    other = STILL.copy()
    other[10, 11] ^= 1
    assert frozen(judge, [2000 * MS], other) == [False]
    assert frozen(judge, ticks(2040 * MS, 3000 * MS), other)[-1] is False
    assert frozen(judge, [3001 * MS], other) == [True]


def test_f15_noise_of_one_level_is_never_frozen():
    judge = CaptureJudge()
    found = [
        judge.take(grabbed(time_ns, STILL // 2 + RNG.integers(0, 2, STILL.shape, np.uint8)))
        for time_ns in ticks(0, 3000 * MS)
    ]
    assert not any(judged.frozen for judged in found)


def test_f15_a_few_pixels_between_the_samples_count_too():
    judge = CaptureJudge()
    frozen(judge, ticks(0, 2000 * MS))
    other = STILL.copy()
    other[200:202, 101] = 255 - other[200:202, 101]
    assert frozen(judge, [2000 * MS], other) == [False]


def test_f15_pixels_that_change_places_count_too():
    judge = CaptureJudge()
    frozen(judge, ticks(0, 2000 * MS))
    assert frozen(judge, [2000 * MS], STILL[:, ::-1].copy()) == [False]


def test_f15_a_clock_outside_the_box_does_not_count():
    judge, found = CaptureJudge(), []
    for number, time_ns in enumerate(ticks(0, 2000 * MS)):
        image = STILL.copy()
        image[:20, :20] = number
        found += frozen(judge, [time_ns], image, (100, 100, 500, 400))
    assert found[-1]


def test_f15_few_pictures_a_second_are_frozen_too():
    assert frozen(CaptureJudge(), ticks(0, 4000 * MS, 1000 * MS)) == [False, False, True, True]


def test_f15_at_least_4096_pixels_are_compared():
    assert SAMPLES >= 4096
    for shape in [(64, 64), (480, 640), (1080, 1920), (100, 4000)]:
        judge = CaptureJudge()
        judge.take(grabbed(0, np.zeros(shape, np.uint8)))
        assert judge._still._sample.size >= 4096


def yuv(shape=(48, 64), chroma=(24, 32), matrix="bt601", full_range=False):
    """Return a YUV picture."""
    planes = [np.zeros(side, np.uint8) for side in (shape, chroma, chroma)]
    return Pixels(tuple(planes), matrix, full_range)


@pytest.mark.parametrize(
    "other",
    [
        yuv((48, 66), (24, 33)),
        yuv(chroma=(48, 64)),
        yuv(matrix="bt709"),
        yuv(full_range=True),
        Pixels((np.zeros((48, 64), np.uint8),), full_range=False),
        Pixels((np.zeros((48, 64, 3), np.uint8),)),
    ],
    ids=["size", "subsampling", "matrix", "range", "grey", "rgb"],
)
def test_f17_another_size_or_layout_is_a_new_format_once(other):
    judge = CaptureJudge()
    shown = [yuv(), yuv(), other, other]
    judged = [judge.take(Grabbed(pixels, number, None)) for number, pixels in enumerate(shown)]
    assert [one.new_format for one in judged] == [False, False, True, False]


@pytest.mark.parametrize("rate_hz", [15, 30, 60, 120])
def test_f18_the_rate_is_measured(rate_hz):
    times = [round(number * 1e9 / rate_hz) for number in range(60)]
    assert periods(times)[-1] == pytest.approx(1e9 / rate_hz, rel=1e-6)


def test_f18_the_rate_is_unknown_at_first():
    assert periods(ticks(0, 240 * MS)) == [0, 0, 0, 0, 40 * MS, 40 * MS]


def test_f18_jitter_of_80_percent_does_not_hide_the_rate():
    jitter = np.random.default_rng(1).uniform(0.2, 1.8, 600)
    found = periods(np.cumsum(jitter * 40 * MS).astype(np.int64).tolist())[31:]
    assert min(found) > 28 * MS
    assert max(found) < 52 * MS


def test_f18_pictures_in_bursts_have_their_mean_period():
    times = [number // 4 * 160 * MS + number % 4 for number in range(60)]
    assert periods(times)[-1] == pytest.approx(40 * MS, rel=1e-6)


def test_f18_one_long_gap_does_not_change_the_rate():
    times = [*ticks(0, 2000 * MS), *ticks(30_000 * MS, 30_400 * MS)]
    assert periods(times)[-1] == 40 * MS


def test_f18_a_new_rate_is_known_after_thirty_pictures():
    times = [*ticks(0, 2000 * MS), *ticks(2000 * MS, 2310 * MS, 10 * MS)]
    assert periods(times)[-1] == 10 * MS


def jumps(times_ns):
    """Return whether the source's time jumped at each picture."""
    judge = CaptureJudge()
    return [
        judge.take(grabbed(number * 40 * MS, pts_ns=pts_ns)).jumped
        for number, pts_ns in enumerate(times_ns)
    ]


@pytest.mark.parametrize(
    ("times_ns", "expected"),
    [
        ([0, 40 * MS, 40 * MS, 80 * MS], [False] * 4),
        ([40 * MS, 80 * MS, 0, 40 * MS], [False, False, True, False]),
        ([0, 40 * MS, DAY_NS, DAY_NS + 40 * MS], [False, False, True, False]),
        ([0, 60_000 * MS, 120_001 * MS], [False, False, True]),
        ([None, None, None], [False] * 3),
        ([0, 40 * MS, None, None, 160 * MS], [False, False, True, False, False]),
        ([-DAY_NS, -DAY_NS + 1, 5], [False, False, True]),
    ],
    ids=["steady", "back", "leap of a day", "leap over a minute", "never", "ceases", "negative"],
)
def test_f19_jumps_of_the_source_time_are_told_once(times_ns, expected):
    assert jumps(times_ns) == expected
