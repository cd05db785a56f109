"""Facts about the rules that choose a step, worked by hand on small histograms."""

import numpy as np
import pytest

from calib.observers import (
    CALIBRATORS,
    Histogram,
    limit_by_entropy,
    limit_by_error,
    limit_by_max,
    limit_by_percentile,
)


def seen(*arrays):
    histogram = Histogram()
    for values in arrays:
        histogram.add(np.asarray(values, np.float32))
    return histogram


def test_the_largest_magnitude_counts_whatever_its_sign():
    assert limit_by_max(seen([0.5, -3.0, 2.0])) == 3.0


def test_percentile_of_a_ramp_is_its_share():
    ramp = seen(np.arange(1, 1001) / 1000)
    assert limit_by_percentile(ramp, 90.0) == pytest.approx(0.9, abs=1 / 2048)


def test_percentile_counts_zeros():
    # 90 zeros and 10 ones: nine tenths of all values are reached at zero
    assert limit_by_percentile(seen(np.repeat([0.0, 1.0], [90, 10])), 89.0) < 0.01


def test_percentile_is_never_beyond_the_largest_value():
    assert limit_by_percentile(seen([0.1, 0.7]), 100.0) == pytest.approx(0.7)


def test_least_error_keeps_a_rare_value_until_the_others_outweigh_it():
    # limit 100: 1 is rounded to 100/127, an error of 0.045 for each; limit 64: 1 is two steps,
    # and 100 is cut to 64, an error of 36^2 = 1296
    few, many = (seen(np.repeat([1.0, 100.0], [count, 1])) for count in (10_000, 1_000_000))
    assert limit_by_error(few) == 100.0
    assert 63.0 <= limit_by_error(many) <= 65.0


def test_least_error_keeps_an_even_spread_whole():
    assert limit_by_error(seen(np.linspace(0, 1, 10_000))) == pytest.approx(1.0, abs=0.02)


def test_entropy_leaves_out_the_bin_of_zeros():
    spread = np.random.default_rng(0).random(20_000)
    plain, drowned = seen(spread), seen(spread, np.zeros(1_000_000))
    assert limit_by_entropy(drowned) == limit_by_entropy(plain)


def test_entropy_clips_a_lone_outlier():
    spread = np.random.default_rng(0).random(100_000)
    assert limit_by_entropy(seen(spread, [4.0])) < 2.0


def test_a_growing_range_loses_no_value():
    parts = [np.full(100, value, np.float32) for value in (0.01, 0.5, 3.0, 40.0)]
    grown, whole = seen(*parts), seen(np.concatenate(parts))
    assert grown.counts.sum() == 400
    assert grown.end == whole.end == 64.0
    assert (grown.counts == whole.counts).all()


@pytest.mark.parametrize("name", CALIBRATORS)
def test_a_tensor_of_zeros_has_the_limit_zero(name):
    assert CALIBRATORS[name](seen(np.zeros(10))) == 0.0
