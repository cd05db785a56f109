"""Facts about the way from a picture to model input and back."""

import numpy as np

from engines.pixels import Pixels
from engines.preprocess import cam_to_image, place, to_model_input


def test_letterbox_keeps_the_aspect_and_centres():
    where = place((480, 640), (224, 224), "letterbox")
    assert where.crop_xyxy == (0, 0, 640, 480)
    assert where.inner_xyxy == (0, 28, 224, 196)


def test_center_square_crops_the_longer_side():
    assert place((480, 640), (224, 224), "center_square").crop_xyxy == (80, 0, 560, 480)


def test_stretch_uses_the_whole_picture():
    where = place((480, 640), (224, 224), "stretch")
    assert (where.crop_xyxy, where.inner_xyxy) == ((0, 0, 640, 480), (0, 0, 224, 224))


def test_letterbox_bars_are_black():
    white = Pixels((np.full((100, 200), 255, np.uint8),))
    model_input = to_model_input(white, (64, 64), "letterbox")
    assert model_input.shape == (64, 64, 3)
    assert (model_input[:16] == 0).all() and (model_input[16:48] == 255).all()


def test_grey_and_equal_rgb_give_the_same_input():
    grey = np.random.default_rng(1).integers(0, 256, (90, 120)).astype(np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    pair = [to_model_input(Pixels((p,)), (64, 64), "letterbox") for p in (grey, rgb)]
    assert np.array_equal(*pair)


def test_map_peak_lands_where_the_picture_has_it():
    where = place((480, 640), (224, 224), "letterbox")
    cam = np.zeros((7, 7), np.float32)
    cam[3, 5] = (
        1  # centre of the cell at input (176, 112): 176/224*640 = 502.9, (112-28)/168*480 = 240
    )
    on_image = cam_to_image(cam, (480, 640), where)
    y, x = np.unravel_index(on_image.argmax(), on_image.shape)
    assert abs(x - 502.9) <= 3 and abs(y - 240) <= 3


def test_map_outside_the_crop_is_zero():
    where = place((480, 640), (224, 224), "center_square")
    on_image = cam_to_image(np.ones((7, 7), np.float32), (480, 640), where)
    assert (on_image[:, :80] == 0).all() and (on_image[:, 80:560] == 1).all()
