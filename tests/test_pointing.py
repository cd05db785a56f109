"""Facts about measuring whether a map points at the finding."""

from pathlib import Path

import numpy as np
import pytest

from stream.errors import UsageError
from train.scoring.pointing import held_out_clips, measure_pointing, spread_of_share

KIDNEY = Path("engines/models/phantom-kidney.onnx")


def test_shipped_model_points_at_the_findings_of_a_clip():
    found = measure_pointing(KIDNEY, held_out_clips("dilated", 1), 1, 3)
    assert (found.clips, found.positive_frames, found.hits) == (1, 2, 2)
    assert found.chance < 0.1


def test_clips_that_never_show_the_finding_do_not_lower_the_interval():
    assert spread_of_share(np.array([[2.0, 2.0], [0.0, 0.0]])) == (1.0, 1.0)


def test_interval_is_that_of_drawing_clips():
    # of two clips, one all right and one all wrong: a quarter of the draws hold only one of them
    assert spread_of_share(np.array([[3.0, 3.0], [0.0, 3.0]])) == (0.0, 1.0)


@pytest.mark.parametrize("asked", [(0, 6), (40, 0), (-3, 6)])
def test_c06_no_clips_or_frames_are_refused(asked):
    with pytest.raises(UsageError, match="give 1 or more of each"):
        measure_pointing(KIDNEY, None, *asked)


def test_finding_that_no_phantom_shows_is_refused():
    with pytest.raises(UsageError, match="no phantom shows 'covid'"):
        held_out_clips("covid", 3)
