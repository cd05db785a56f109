"""Facts about pictures as decoded."""

import numpy as np
import pytest

from engines.pixels import Pixels, resize_plane


def yuv(y, u, v, **kind):
    luma = np.full((8, 8), y, np.uint8)
    chroma = [np.full((4, 4), value, np.uint8) for value in (u, v)]
    return Pixels((luma, *chroma), **kind)


# BT.601 and BT.709 colour bars at 100 %, 8-bit limited range, as tabulated in ITU-R BT.471/BT.709.
@pytest.mark.parametrize(
    ("triple", "matrix", "rgb"),
    [
        ((81, 90, 240), "bt601", (255, 0, 0)),
        ((145, 54, 34), "bt601", (0, 255, 0)),
        ((41, 240, 110), "bt601", (0, 0, 255)),
        ((63, 102, 240), "bt709", (255, 0, 0)),
        ((235, 128, 128), "bt709", (255, 255, 255)),
        ((16, 128, 128), "bt601", (0, 0, 0)),
    ],
)
def test_limited_range_colour_bars_become_pure_colours(triple, matrix, rgb):
    image = yuv(*triple, matrix=matrix, full_range=False).resized((8, 8))
    assert np.abs(image.astype(int) - rgb).max() <= 2


def test_full_range_luma_passes_unchanged():
    assert (yuv(100, 128, 128).to_image() == 100).all()


def test_limited_range_grey_is_stretched_to_full_range():
    plane = np.array([[16, 235], [16, 235]], np.uint8)
    image = Pixels((plane,), full_range=False).to_image()
    assert image.tolist() == [[0, 255], [0, 255]]


def test_yuv_without_colour_is_grey():
    image = yuv(126, 128, 128, full_range=False).to_image()
    assert image.shape == (8, 8) and (image == 128).all()  # (126 - 16) * 255 / 219 = 128.08


def test_grey_stays_two_dimensional():
    assert Pixels((np.zeros((5, 7), np.uint8),)).to_image().shape == (5, 7)


def test_shrinking_averages_the_area():
    checker = np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 255
    assert np.abs(resize_plane(checker, (16, 16)).astype(int) - 127).max() <= 1


def test_one_axis_may_shrink_while_the_other_grows():
    plane = np.tile(np.arange(64, dtype=np.uint8)[None], (8, 1))
    small = resize_plane(plane, (16, 32))
    assert small.shape == (32, 16)
    assert np.allclose(small[0], np.arange(16) * 4 + 1.5, atol=1)


def test_resizing_planes_first_equals_converting_first():
    rng = np.random.default_rng(0)
    luma = np.kron(rng.integers(60, 180, (16, 16)), np.ones((8, 8))).astype(np.uint8)
    chroma = [np.full((64, 64), v, np.uint8) for v in (120, 140)]
    pixels = Pixels((luma, *chroma))
    converted = Pixels((pixels.to_image(),)).resized((32, 32))
    assert np.abs(pixels.resized((32, 32)).astype(int) - converted).max() <= 2


def test_a_crop_takes_the_same_part_of_luma_and_chroma():
    luma = np.full((8, 8), 128, np.uint8)
    v = np.zeros((4, 4), np.uint8) + 128
    v[:, 2:] = 255
    right = Pixels((luma, np.full((4, 4), 128, np.uint8), v)).resized((4, 8), (4, 0, 8, 8))
    assert (right[..., 0] == 255).all()


@pytest.mark.parametrize(
    "shapes", [[(4, 4, 2)], [(4, 4), (2, 2)], [(4, 4), (2, 2), (4, 4)], [(0, 4)]]
)
def test_planes_of_no_known_layout_are_refused(shapes):
    with pytest.raises(ValueError, match=r"expected|empty"):
        Pixels(tuple(np.zeros(shape, np.uint8) for shape in shapes))
