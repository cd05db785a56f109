"""What leaves the machine: masked pictures, no text, no names, or a refusal (D13)."""

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from stream.errors import UsageError
from stream.report.privacy import ExportPolicy, ExportRefused, protect
from tests.report_content import build_content
from tests.scanner_screens import phantom, screens, text_screen

pytestmark = pytest.mark.timeout(120)


def content_of(pictures, **changes):
    """Return a content whose key frames are these pictures, salient everywhere."""
    content = build_content(frames=60, keys=len(pictures))
    keys = tuple(
        replace(
            key,
            image=picture,
            saliency=np.ones(picture.shape[:2], np.float32),
            explained=np.ones(picture.shape[:2], np.float32),
        )
        for key, picture in zip(content.key_frames, pictures, strict=True)
    )
    source = {"File": "DOE^JANE.mp4", "Kind": "video", "SHA-256": "ab12cd34" * 8}
    return replace(content, key_frames=keys, source=source, **changes)


def scanner(geometry="sector", count=3):
    """Return pictures of a scanner's screen, where the fan is, and where its text is."""
    images, fan = phantom("kidney", "normal", geometry=geometry, count=count)
    return screens(images, fan, size_wh=(800, 450))


@pytest.mark.parametrize("geometry", ["sector", "linear"])
def test_outside_the_sector_every_key_frame_is_black_and_its_saliency_is_0(geometry):
    pictures, fan, marks = scanner(geometry)
    kept = protect(content_of(pictures), ExportPolicy())
    for key, picture in zip(kept.key_frames, pictures, strict=True):
        assert key.image.shape == picture.shape
        assert (key.image[fan] == picture[fan]).mean() > 0.98
        inside = key.saliency == 1
        assert inside.sum() < 1.25 * fan.sum()
        assert (inside & marks).sum() < 0.03 * marks.sum()
        assert not (key.image[~inside].any() or key.saliency[~inside].any())
        assert not key.explained[~inside].any()
    assert kept.provenance["Privacy"].startswith("Pictures are blackened outside their sector")


def test_colour_pictures_are_masked_too():
    pictures, _, _ = scanner(count=2)
    kept = protect(content_of([np.dstack([p] * 3) for p in pictures]), ExportPolicy())
    assert all(key.image.shape == (450, 800, 3) for key in kept.key_frames)
    assert not any(key.image[:37, :250].any() for key in kept.key_frames)  # the name


def test_the_same_content_is_masked_the_same_way():
    content = content_of(scanner(count=2)[0])
    first, again = (protect(content, ExportPolicy()) for _ in range(2))
    pairs = zip(first.key_frames, again.key_frames, strict=True)
    assert all((one.image == other.image).all() for one, other in pairs)
    assert first.provenance == again.provenance


def test_d13_a_frame_without_a_sector_blocks_the_export_and_is_named():
    content = content_of([text_screen(16)])
    seq = content.key_frames[0].seq
    with pytest.raises(ExportRefused, match=rf"\[D13\] frame {seq}: no sector found") as refused:
        protect(content, ExportPolicy())
    assert refused.value.exit_code == 4


def test_d13_text_in_the_fan_blocks_the_export_until_somebody_accepts_it():
    pictures, _, _ = scanner(count=2)
    cv2.putText(pictures[1], "DOE JANE", (350, 250), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 230, 2)
    content = content_of(pictures)
    seq = content.key_frames[1].seq
    with pytest.raises(ExportRefused, match=rf"frame {seq}: text at column 3\d\d") as refused:
        protect(content, ExportPolicy())
    assert "DOE" not in str(refused.value)
    kept = protect(content, ExportPolicy(accept_text="A. Turing: a drill, not a patient"))
    assert "accepted by A. Turing: a drill, not a patient" in kept.provenance["Privacy"]
    assert f"frame {seq}: text at column" in kept.provenance["Privacy"]


@pytest.mark.parametrize("text", [" ", "a\nb", "x" * 201])
def test_text_is_accepted_with_a_name_that_can_be_printed(text):
    with pytest.raises(UsageError, match="--accept-text"):
        ExportPolicy(accept_text=text)


def test_without_a_mask_the_whole_picture_is_searched_for_text():
    pictures, _, _ = scanner(count=1)
    with pytest.raises(ExportRefused, match="text at column"):
        protect(content_of(pictures), ExportPolicy(mask=False))


@pytest.mark.parametrize("burned_in", ["YES", ""])
def test_d13_dicom_leaves_unmasked_only_where_burned_in_annotation_is_no(burned_in):
    images, _ = phantom("lung", "a_lines", count=1)
    content = content_of(images)
    content = replace(content, source={**content.source, "Kind": "dicom"})
    with pytest.raises(ExportRefused, match="not masked, and Burned In Annotation is"):
        protect(content, ExportPolicy(mask=False, burned_in=burned_in))
    kept = protect(content, ExportPolicy(mask=False, burned_in="NO"))
    assert kept.provenance["Privacy"] == (
        "Pictures are not masked, as asked; no text was found in them."
    )


def test_where_no_picture_goes_out_none_is_searched_and_all_come_back_black():
    pictures, _, _ = scanner(count=2)
    kept = protect(content_of(pictures), ExportPolicy(mask=False, pictures=False))
    assert not any(key.image.any() or key.saliency.any() for key in kept.key_frames)
    assert kept.provenance["Privacy"] == "No picture was exported with this."


def test_pictures_that_were_cut_at_capture_are_searched_and_not_masked_again():
    content = content_of(phantom("ovary", "few", count=2)[0])
    kept = protect(content, ExportPolicy(masked_before=True))
    assert all(a is b for a, b in zip(kept.key_frames, content.key_frames, strict=True))
    pictures, _, _ = scanner(count=1)
    with pytest.raises(ExportRefused, match="text at column"):
        protect(content_of(pictures), ExportPolicy(masked_before=True))


def test_a_phantom_shows_nobody_and_stays_as_it_is():
    content = build_content(frames=60, keys=2)
    kept = protect(content, ExportPolicy(synthetic=True))
    assert kept.key_frames is content.key_frames
    assert kept.clip_name == content.clip_name
    assert kept.provenance["Privacy"].startswith("Nothing to hide")


def test_names_of_files_leave_only_when_they_may():
    lines = ("[V07] 2 images affected: DOE^JANE_3.png (cut off)", "[V06] 20 of 30 frames")
    content = content_of(scanner(count=1)[0], clip_name="DOE^JANE.mp4", problems=lines)
    assert protect(content, ExportPolicy()).clip_name == "DOE^JANE.mp4"
    kept = protect(content, ExportPolicy(deidentify=True))
    assert kept.clip_name == kept.source["File"] == "clip-ab12cd34"
    assert kept.problems == ("[V07] 2 images affected", "[V06] 20 of 30 frames")
    assert "JANE" not in repr(replace(kept, key_frames=()))


def test_a_clip_without_a_digest_gets_a_name_all_the_same():
    content = content_of(scanner(count=1)[0], clip_name="rtsp://ward-3/doe")
    content = replace(content, source={"File": "rtsp://ward-3/doe", "Kind": "live"})
    assert protect(content, ExportPolicy(deidentify=True)).clip_name == "clip"


ALONE = """
import sys
def refuse(event, arguments):
    if event.startswith("socket.") or event in ("subprocess.Popen", "urllib.Request"):
        raise SystemExit(f"spoke to the outside: {event}")
sys.addaudithook(refuse)
import cv2, numpy as np
from stream.report.privacy.text import find_text
picture = np.zeros((200, 400), np.uint8)
cv2.putText(picture, "DOE JANE", (60, 100), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 2)
print(find_text(picture))
"""


def test_text_is_found_without_any_network():
    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(")
