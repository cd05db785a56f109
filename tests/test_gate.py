"""Facts about which frames are believed."""

import numpy as np
import pytest

from stream.analysis.gate import FeatureGate, check_pixels
from tests.tiny_model import GATE


def state_of(image):
    return check_pixels(image).state


def speckle(mean=60):
    rng = np.random.default_rng(0)
    grey = np.clip(rng.rayleigh(mean, (224, 224)), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def test_f16_black_is_no_signal():
    assert state_of(np.full((224, 224, 3), 12, np.uint8)) == "no_signal"


def test_f16_a_flat_field_is_uniform():
    assert state_of(np.full((224, 224, 3), 128, np.uint8)) == "uniform"


def test_f16_colour_bars_are_not_ultrasound():
    bars = [
        (255, 255, 0),
        (0, 255, 255),
        (0, 255, 0),
        (255, 0, 255),
        (255, 0, 0),
        (0, 0, 255),
        (255, 255, 255),
    ]
    image = np.repeat(np.array(bars, np.uint8), 32, axis=0)[None].repeat(224, axis=0)
    assert state_of(image) == "not_ultrasound"


@pytest.mark.parametrize("colour", [(128, 128, 128), (0, 0, 200)])
def test_f16_a_flat_field_behind_a_mask_is_no_picture(colour):
    y, x = np.mgrid[:224, :224]
    fan = (abs(x - 112) < 10 + 0.4 * y)[..., None]
    assert state_of(np.where(fan, np.uint8(colour), np.uint8(0))) in ("uniform", "not_ultrasound")
    assert state_of(np.where(fan, speckle(), np.uint8(0))) == "ok"


def test_speckle_passes():
    assert state_of(speckle()) == "ok"


def test_a_colour_doppler_box_passes():
    image = speckle()
    image[60:160, 60:160] = (220, 30, 20)
    assert state_of(image) == "ok"


def test_reasons_give_the_measured_value():
    assert "brightest value 12" in check_pixels(np.full((224, 224, 3), 12, np.uint8)).reason


@pytest.mark.parametrize(("value", "state"), [(0.5, "ok"), (0.85, "ok"), (0.9, "not_ultrasound")])
def test_features_are_judged_by_root_mean_square_z_score(value, state):
    # z = (value - 0.5) / 0.25 for all three, limit 1.5: the bound is at 0.875
    answer, distance = FeatureGate(GATE).check(np.full(3, value, np.float32))
    assert answer.state == state
    assert distance == pytest.approx((value - 0.5) / 0.25 / 1.5, abs=1e-5)


def test_a_model_without_a_gate_believes_all():
    assert FeatureGate(None).check(np.zeros(3, np.float32)) == (check_pixels(speckle()), None)
