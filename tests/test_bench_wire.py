"""Facts about the wire benchmark, with real processes and few frames."""

import pytest

from benchmarks.bench_wire import _ratios
from benchmarks.live_transport import SIZES_WH, Load, carry, copy_ms, draw_picture
from benchmarks.result import Row

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("transport", ["ring", "message"])
def test_frames_arrive_with_ages_and_a_rate(transport):
    found = carry(Load("480p", 20, 200.0), transport)
    assert 0 < len(found.ages_ms) <= 20
    assert 0 < min(found.ages_ms) < 1000
    assert found.frames_hz > 0


def test_picture_is_planes_of_half_the_size():
    (width, height), planes = SIZES_WH["720p"], draw_picture("720p").planes
    assert [plane.shape for plane in planes] == [(height, width)] + [(height // 2, width // 2)] * 2


def test_copies_are_timed_after_the_warm_up():
    times = copy_ms("480p", 3)
    assert len(times) == 3 and min(times) > 0


def test_ratios_are_of_ages_and_rates_the_way_that_more_is_better():
    def row(name, unit, value):
        return Row(name=name, unit=unit, values=(value,))

    found = {"ring": row("r", "ms", 2.0), "message": row("m", "ms", 4.0), "copy": row("c", "ms", 1)}
    found |= {"ring rate": row("rr", "/s", 90.0), "message rate": row("mr", "/s", 30.0)}
    ratios = {ratio.name: ratio.values[0] for ratio in _ratios("4K", found)}
    assert ratios == {
        "over_message-4K": 2.0,
        "rate_over_message-4K": 3.0,
        "ring_of_limit-4K": 0.5,
        "message_of_limit-4K": 0.25,
    }
