"""Facts about maps of a live session: they end where the sector that capture found ends."""

import dataclasses

import numpy as np
import pytest

from stream.session.content import _within_sector
from tests.report_content import build_content


@pytest.fixture
def key():
    """A key frame of 160 by 120 pixels, salient everywhere."""
    (key,) = build_content(keys=1, size_wh=(160, 120)).key_frames
    everywhere = np.ones((120, 160), np.float32)
    return dataclasses.replace(key, saliency=everywhere, explained=everywhere)


def test_maps_end_at_the_outline_in_pictures_cut_to_its_box(key):
    row = {"outline": "[[20,10],[180,10],[100,130]]", "box_xyxy": "[20,10,180,130]"}
    cut = _within_sector(key, row)
    for values in (cut.saliency, cut.explained):
        assert values[60].sum() == 80  # half-way down a triangle 160 wide
        assert values[60, 41:119].all()
        assert values[118].sum() <= 2


@pytest.mark.parametrize(
    ("outline", "box"),
    [(None, None), ("[]", "[]"), ("[[0,0],[9,0],[0,9]]", "[0,0,40,40]")],
    ids=["no epoch", "not masked", "of another size"],
)
def test_maps_stay_whole_where_no_sector_of_their_size_is_known(key, outline, box):
    assert _within_sector(key, {"outline": outline, "box_xyxy": box}).saliency.all()
