import numpy as np
import pytest

from stream.report.overlay import draw_colour_bar, draw_overlay


def lightness(rgb):
    """Relative luminance (ITU-R BT.709) of (..., 3)."""
    return rgb @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)])
def test_zero_saliency_leaves_the_frame_as_it_was(shape):
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    drawn = draw_overlay(image, np.zeros((40, 60), np.float32))
    assert np.array_equal(drawn, np.broadcast_to(image.reshape(40, 60, -1), (40, 60, 3)))


def test_grey_and_rgb_of_the_same_frame_look_the_same():
    rng = np.random.default_rng(2)
    grey = rng.integers(0, 256, (30, 50), dtype=np.uint8)
    saliency = rng.random((30, 50), dtype=np.float32)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    assert np.array_equal(draw_overlay(grey, saliency), draw_overlay(rgb, saliency))


def test_values_outside_the_scale_are_clipped_and_nan_is_nothing():
    image = np.full((1, 5), 90, np.uint8)
    drawn = draw_overlay(image, np.array([[np.nan, -3.0, 0.0, 1.0, 7.0]], np.float32))[0]
    assert drawn[:3].tolist() == [[90, 90, 90]] * 3
    assert drawn[3].tolist() == drawn[4].tolist()


def test_colours_over_dark_tissue_grow_steadily_lighter():
    ramp = np.linspace(0, 1, 200, dtype=np.float32)[None]
    steps = np.diff(lightness(draw_overlay(np.zeros((1, 200), np.uint8), ramp)[0]))
    assert steps.min() > -1.5
    assert steps.sum() > 120


def test_anatomy_is_kept_where_saliency_is_low():
    saliency = np.full((1, 2), 0.2, np.float32)
    drawn = draw_overlay(np.array([[20, 220]], np.uint8), saliency)[0]
    assert lightness(drawn[1]) - lightness(drawn[0]) > 0.9 * 200


def test_colour_bar_runs_from_plain_tissue_to_the_colour_of_full_scale():
    bar = draw_colour_bar((256, 12))
    assert bar.shape == (12, 256, 3)
    assert bar[0, 0].tolist() == [72, 72, 72]
    full = draw_overlay(np.full((1, 1), 72, np.uint8), np.ones((1, 1), np.float32))
    assert bar[0, -1].tolist() == full[0, 0].tolist()


def test_saliency_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"saliency \(4, 4\): expected the frame's \(4, 5\)"):
        draw_overlay(np.zeros((4, 5), np.uint8), np.zeros((4, 4), np.float32))
