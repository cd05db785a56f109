"""Text in pictures that are to leave: what is found, and what is not taken for text."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from engines.pixels import Pixels
from stream.report.privacy.text import counts, find_text
from stream.sector.find import find_sector
from stream.sources.open import open_source
from stream.sources.phantom.spec import FINDINGS
from tests.scanner_screens import phantom

pytestmark = pytest.mark.timeout(120)

REAL = Path("../shared/data")
HERSHEY = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX)
TURNS = (0, 20, 90, 180)


def hershey(text, height_px, font):
    """Return text as a grey mask, letters `height_px` high."""
    size = height_px / cv2.getTextSize("H", font, 1, 1)[0][1]
    (width, height), below = cv2.getTextSize(text, font, size, 1)
    mask = np.zeros((height + 2 * below, width + 8), np.uint8)
    return cv2.putText(
        mask, text, (4, height + below // 2), font, size, 255, max(1, height_px // 12), cv2.LINE_AA
    )


def outlined(text, height_px):
    """Return text in Pillow's own outline font as a grey mask."""
    font = ImageFont.load_default(height_px / 0.72)
    left, top, right, bottom = (round(side) for side in font.getbbox(text))
    mask = Image.new("L", (right - left + 8, bottom - top + 8))
    ImageDraw.Draw(mask).text((4 - left, 4 - top), text, fill=255, font=font)
    return np.array(mask)


def planted(picture, mask, turn, ink=220, middle=(320, 250)):
    """Return a picture with text in it, turned about its middle."""
    height, width = picture.shape
    move = cv2.getRotationMatrix2D((mask.shape[1] / 2, mask.shape[0] / 2), turn, 1)
    move[:, 2] += np.array(middle) - (mask.shape[1] / 2, mask.shape[0] / 2)
    share = cv2.warpAffine(mask, move, (width, height), flags=cv2.INTER_CUBIC) / 255
    return (picture * (1 - share) + ink * share).astype(np.uint8)


def test_names_in_the_fan_are_found_at_the_place_where_they_are():
    picture = phantom("kidney", "normal", count=1)[0][0]
    left, top, right, bottom = find_text(planted(picture, outlined("DOE JANE", 20), 0))
    assert 230 < left < 290 and 350 < right < 410
    assert 225 < top < 245 and 255 < bottom < 275


def test_names_are_found_in_every_font_size_and_direction():
    picture = phantom("ovary", "few", count=1)[0][0]
    masks = [hershey("MEIER PETER", size, font) for font in HERSHEY for size in (14, 24)]
    masks += [outlined("Schmidt 1961", size) for size in (12, 20, 40)]
    found = [
        find_text(planted(picture, mask, turn)) is not None
        for mask, turn in zip(masks, TURNS * 2, strict=False)
    ]
    assert all(found)


@pytest.mark.parametrize("organ", FINDINGS)
@pytest.mark.parametrize("geometry", ["sector", "linear"])
def test_no_phantom_is_taken_for_text(organ, geometry):
    for finding in FINDINGS[organ]:
        images, _ = phantom(organ, finding, geometry=geometry, count=1)
        assert find_text(images[0]) is None


def test_rulers_calipers_and_body_marks_are_no_text():
    picture = phantom("kidney", "normal", count=1)[0][0]
    for row in range(60, 440, 20):
        cv2.line(picture, (430, row), (438 if row % 100 else 446, row), 230)
    for place in ((250, 200), (360, 260)):
        cv2.drawMarker(picture, place, 255, cv2.MARKER_CROSS, 14)
    cv2.line(picture, (250, 200), (360, 260), 200, 1, cv2.LINE_4)
    cv2.ellipse(picture, (300, 380), (26, 18), 0, 0, 360, 230, 2)
    assert find_text(picture) is None


def test_an_empty_picture_has_no_text():
    assert find_text(np.zeros((40, 60), np.uint8)) is None


@pytest.mark.parametrize(
    ("text", "sure", "expected"),
    [
        ("DOE", 0.9, True),
        ("JD", 0.9, True),
        ("4711", 0.9, True),
        ("DOE", 0.5, False),
        ("10", 0.9, False),
        ("4 cm", 0.9, False),
        ("4 c", 0.9, True),
        ("L", 0.9, False),
        ("-,:", 0.9, False),
        ("", 0.0, False),
    ],
)
def test_what_is_read_counts_unless_it_is_a_letter_or_of_a_ruler(text, sure, expected):
    assert counts(text, sure) is expected


@pytest.mark.skipif(not REAL.exists(), reason="no real ultrasound on this machine")
@pytest.mark.parametrize(
    ("name", "has_text"),
    [
        ("dicom/examples_jpeg2k.dcm", True),
        ("dicom/examples_ybr_color.dcm", False),
        ("pocus_lung/videos/convex/Reg_Avi_Video_002.mp4", False),
        ("pocus_lung/videos/convex/Pneu_northumbria_0409_set1_vid1.avi", False),
    ],
    ids=lambda value: Path(value).stem if isinstance(value, str) else "",
)
def test_of_real_pictures_those_with_text_in_the_image_are_told(name, has_text):
    with open_source(str(REAL / name), session="test") as source:
        picture = np.array(next(iter(source)).image)
    inside = find_sector([Pixels((picture,))]).mask()
    masked = picture * (inside if picture.ndim == 2 else inside[..., None])
    assert (find_text(masked) is not None) == has_text
