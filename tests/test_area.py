"""Area averages against exact sums over the pixels that each pixel of the result covers."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engines.area import LEAST_PX, shrink


def cover(source, goal):
    """Return the share of each source pixel in each pixel of the result, (goal, source)."""
    step = source / goal
    starts, ends = np.arange(goal)[:, None] * step, np.arange(1, goal + 1)[:, None] * step
    pixels = np.arange(source)[None]
    return np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None) / step


def exact(plane, size_wh):
    height, width = plane.shape
    return cover(height, size_wh[1]) @ plane @ cover(width, size_wh[0]).T


def noise(height, width):
    return np.random.default_rng(height * width).integers(0, 256, (height, width), np.uint8)


@pytest.mark.parametrize(
    ("shape", "size_wh"),
    [
        ((450, 450), (224, 224)),
        ((1080, 776), (161, 224)),
        ((225, 225), (224, 224)),
        ((480, 640), (224, 168)),
        ((300, 900), (224, 300)),  # one axis only
        ((1080, 1920), (LEAST_PX, LEAST_PX)),
        ((500, 700), (7, 5)),  # too small for the scaler
        ((1000, 16), (8, 9)),  # too great a ratio for the scaler
    ],
)
def test_a_plane_shrinks_to_its_area_averages_within_a_level(shape, size_wh):
    plane = noise(*shape)
    assert np.abs(shrink(plane, size_wh) - exact(plane, size_wh)).max() <= 1.01


def test_a_part_of_a_plane_is_read_where_it_lies():
    plane = noise(300, 400)
    plane.flags.writeable = False
    part = plane[20:280, 13:391]
    assert np.array_equal(shrink(part, (100, 90)), shrink(part.copy(), (100, 90)))


def test_a_mirrored_plane_shrinks_to_the_mirrored_average():
    plane = noise(120, 160)
    mirrored = shrink(plane[:, ::-1], (40, 30)).astype(int)
    assert np.abs(mirrored - shrink(plane, (40, 30))[:, ::-1]).max() <= 1


def test_colours_do_not_mix():
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[..., 1] = noise(64, 64)
    small = shrink(rgb, (16, 16))
    assert np.array_equal(small[..., 1], shrink(rgb[..., 1], (16, 16)))
    assert not small[..., [0, 2]].any()


def test_threads_get_the_same_as_one():
    planes = [noise(200 + i, 300) for i in range(24)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda plane: shrink(plane, (64, 48)), planes))
    assert all(
        np.array_equal(a, shrink(p, (64, 48))) for a, p in zip(together, planes, strict=True)
    )
    assert math.isclose(together[0].mean(), planes[0].mean(), abs_tol=1)
