"""Facts about the synthetic B-mode source."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream.errors import UsageError
from stream.sources.phantom import (
    FINDINGS,
    MIN_FINDING_SHARE,
    PhantomScene,
    PhantomSpec,
    open_phantom,
    parse_phantom,
)
from stream.sources.phantom.beam import SOFT_TISSUE_LOSS, beam_width_mm, transmission
from stream.sources.phantom.canvas import FLUID_LOSS
from stream.sources.phantom.cast import draw_cast
from stream.sources.phantom.probe import SAMPLES

ROOT = Path(__file__).parents[1]
EVERY_FINDING = [(organ, finding) for organ, names in FINDINGS.items() for finding in names]
DIGEST_CODE = """
import hashlib, sys
from stream.sources.phantom import PhantomScene, parse_phantom
image, mask = PhantomScene(parse_phantom(sys.argv[1])).frame(int(sys.argv[2]))
print(hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest())
"""


def still(organ, finding, seed=3, geometry="linear", size_wh=(320, 240)):
    """A scene whose plane stays in the middle of the organ."""
    return PhantomScene(
        PhantomSpec(organ, finding, seed, geometry=geometry, size_wh=size_wh, sweep=False)
    )


def pair(organ, seed=3):
    """The first frame of a normal scene and of the same scene with a finding, and its mask."""
    normal, finding = FINDINGS[organ][:2]
    image, mask = still(organ, finding, seed).frame(0)
    return still(organ, normal, seed).frame(0)[0].astype(float), image.astype(float), mask


def behind(mask, gap_px, rows):
    """The pixels up to `rows` below the lowest masked pixel of each column, after a gap."""
    lowest = np.where(mask.any(0), mask.shape[0] - 1 - np.argmax(mask[::-1], axis=0), 10**6)
    depth = np.arange(mask.shape[0])[:, None] - lowest
    return (depth > gap_px) & (depth <= gap_px + rows)


def half_width(profiles):
    """The lag at which the lateral correlation of the rows falls to one half."""
    rows = profiles - profiles.mean(axis=1, keepdims=True)
    scores = np.array([(rows[:, : -lag or None] * rows[:, lag:]).mean() for lag in range(20)])
    scores /= scores[0]
    first = int(np.argmax(scores < 0.5))
    return first - (0.5 - scores[first]) / (scores[first - 1] - scores[first])


@pytest.mark.parametrize(("organ", "finding"), EVERY_FINDING)
def test_two_scenes_of_one_spec_are_byte_identical(organ, finding):
    spec = PhantomSpec(organ, finding, seed=5, size_wh=(160, 120))
    one, two = (PhantomScene(spec).frame(9) for _ in range(2))
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])


def test_a_fresh_process_renders_the_same_bytes():
    uri = "phantom:kidney?seed=7&finding=dilated&size=160x120"
    image, mask = PhantomScene(parse_phantom(uri)).frame(3)
    command = [sys.executable, "-c", DIGEST_CODE, uri, "3"]
    answer = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest()


def test_any_frame_alone_equals_the_same_frame_in_sequence():
    uri = "phantom:lung?seed=2&finding=b_lines&seconds=0.4&size=160x120"
    sequence = [picture.pixels.to_image() for picture in open_phantom(uri).pictures()]
    scene = PhantomScene(parse_phantom(uri))
    assert all(np.array_equal(scene.frame(i)[0], sequence[i]) for i in (9, 0, 4))


def test_another_seed_is_another_picture():
    assert not np.array_equal(*(still("kidney", "normal", seed).frame(0)[0] for seed in (1, 2)))


def test_frames_differ_by_electronic_noise_even_within_a_pose():
    scene = still("kidney", "normal")
    assert not np.array_equal(scene.frame(0)[0], scene.frame(1)[0])


def test_a_frame_outside_the_clip_is_refused():
    scene = PhantomScene(PhantomSpec("ovary", "few", seconds=2))
    with pytest.raises(ValueError, match="frame 50: expected 0 to 49"):
        scene.frame(50)


def test_reader_stamps_exact_times():
    with open_phantom("phantom:uterus?seconds=0.2&rate_hz=30&size=64x64") as reader:
        times = [picture.pts_ns for picture in reader.pictures()]
    assert times == [0, 33333333, 66666667, 100000000, 133333333, 166666667]


def test_reader_describes_the_clip():
    info = open_phantom("phantom:kidney?seed=7&seconds=12&finding=dilated").info
    assert (info.kind, info.size_wh, info.rate_hz, info.frame_count, info.sha256) == (
        "phantom",
        (640, 480),
        25.0,
        300,
        "",
    )


def test_closed_reader_yields_no_more():
    reader = open_phantom("phantom:kidney?size=64x64")
    pictures = reader.pictures()
    next(pictures)
    reader.close()
    assert list(pictures) == []


@pytest.mark.parametrize("geometry", ["sector", "linear"])
@pytest.mark.parametrize("organ", FINDINGS)
def test_outside_the_fan_is_black_and_inside_is_not(organ, geometry):
    scene = still(organ, FINDINGS[organ][-1], geometry=geometry)
    image, _ = scene.frame(0)
    assert not image[~scene.fan].any()
    assert np.mean(image[scene.fan] > 0) > 0.5


@pytest.mark.parametrize(("organ", "finding"), EVERY_FINDING)
def test_mask_lies_in_the_fan_and_only_findings_have_one(organ, finding):
    scene = PhantomScene(PhantomSpec(organ, finding, 4, seconds=6, rate_hz=4, size_wh=(160, 120)))
    masks = [scene.frame(index)[1] for index in range(24)]
    assert not any((mask & ~scene.fan).any() for mask in masks)
    assert any(mask.any() for mask in masks) == (finding != FINDINGS[organ][0])


@pytest.mark.parametrize("seed", range(6))
def test_a_sweep_takes_the_dilated_pelvis_into_view_and_out_again(seed):
    spec = PhantomSpec("kidney", "dilated", seed, seconds=8, rate_hz=3, size_wh=(160, 120))
    scene = PhantomScene(spec)
    shares = [scene.frame(index)[1].sum() / scene.fan.sum() for index in range(24)]
    assert max(shares) >= MIN_FINDING_SHARE
    assert all(share == 0 or share >= MIN_FINDING_SHARE for share in shares)
    assert 0 in shares


def test_findings_of_one_seed_share_all_but_the_finding():
    normal, dilated, mask = pair("kidney")
    above = np.argmax(mask.any(1)) - 8
    assert above > 40
    assert np.array_equal(normal[:above], dilated[:above])


def test_speckle_has_the_signal_to_noise_ratio_of_a_rayleigh_envelope():
    envelopes = np.concatenate([still("kidney", "normal", seed).envelope(0) for seed in range(4)])
    # sqrt(pi / (4 - pi)) = 1.913, Burckhardt 1978
    assert envelopes.mean() / envelopes.std() == pytest.approx(1.913, abs=0.05)
    assert np.mean(envelopes**2) == pytest.approx(
        0.92, abs=0.08
    )  # interpolation costs half a decibel


def test_speckle_widens_away_from_the_focus():
    scene = still("kidney", "normal")
    probe = draw_cast(scene.spec).probe
    focus = round(probe.focus_mm / probe.sample_mm)
    envelope = scene.envelope(0)
    growth = half_width(envelope[-60:]) / half_width(envelope[focus - 30 : focus + 30])
    expected = beam_width_mm(probe, probe.depth_mm) / beam_width_mm(probe, probe.focus_mm)
    assert expected > 1.3
    assert growth == pytest.approx(expected, rel=0.25)


def test_speckle_moves_with_the_tissue():
    scene = still("kidney", "normal")
    one, two = (scene.frame(index)[0][scene.fan].astype(float) for index in (0, 1))
    assert np.corrcoef(one, two)[0, 1] > 0.9


def test_two_centimetres_of_fluid_brighten_what_lies_behind_by_their_missing_loss():
    probe = replace(draw_cast(PhantomSpec("kidney", "normal")).probe, tgc=1.0, frequency_mhz=4.0)
    loss = np.full((SAMPLES, 8), SOFT_TISSUE_LOSS, np.float32)
    loss[: round(20 / probe.sample_mm)] = FLUID_LOSS
    factor = transmission(probe, loss, np.zeros((1, 8), np.float32))
    # two ways * 2 cm * 4 MHz * (0.5 - 0.02) dB / (cm MHz) = 7.68 dB
    assert 20 * np.log10(factor[-1, 4]) == pytest.approx(7.68, abs=0.15)


def test_dilated_pelvis_is_far_darker_than_the_tissue_it_replaces():
    normal, dilated, mask = pair("kidney")
    assert dilated[mask].mean() < 0.4 * normal[mask].mean()


def test_tissue_behind_a_dilated_pelvis_is_enhanced():
    normal, dilated, mask = pair("kidney")
    region = behind(mask, 8, 25)
    assert dilated[region].mean() > normal[region].mean() + 10


def test_tissue_behind_a_fibroid_lies_in_its_shadow():
    normal, fibroid, mask = pair("uterus")
    region = behind(mask, 6, 20)
    assert fibroid[region].mean() < normal[region].mean() - 8


def test_a_rib_casts_a_shadow():
    scenes = (still("lung", "a_lines", seed) for seed in range(40))
    scene = next(scene for scene in scenes if draw_cast(scene.spec).organ.ribs)
    image, _ = scene.frame(0)
    last = np.flatnonzero(scene.fan.any(1))[-1]
    deep = image[last - 40 : last, scene.fan[last]].mean(axis=0)
    assert deep.min() < 0.2 * deep.max()


def test_b_lines_run_from_the_pleura_to_the_bottom_and_outshine_the_a_lines():
    normal, b_lines, mask = pair("lung")
    scene = still("lung", "b_lines")
    last = np.flatnonzero(scene.fan.any(1))[-1]
    assert mask[last - 1].any()
    deep = mask.copy()
    deep[: last - 40] = False
    assert b_lines[deep].mean() > normal[deep].mean() + 15


def test_many_follicles_show_more_dark_bodies_than_few():
    few, many = (draw_cast(PhantomSpec("ovary", name, 3)).organ for name in FINDINGS["ovary"])
    assert len(many.follicles) >= 12 > len(few.follicles)


def test_canonical_uri_reads_back_as_the_same_spec():
    spec = parse_phantom("phantom:lung?seed=11&seconds=2.5&geometry=linear&size=320x200&sweep=0")
    assert parse_phantom(spec.uri) == spec
    assert spec.uri.startswith("phantom:lung?seed=11&seconds=2.5&finding=")


def test_the_seed_chooses_the_finding_that_is_not_given():
    labels = {parse_phantom(f"phantom:kidney?seed={seed}").label for seed in range(12)}
    assert labels == {"normal", "dilated"}


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("phantom:kidny", ("'kidny'", "kidney, ovary, uterus, lung", "nearest: kidney")),
        ("phantom:kidney?sed=7", ("'sed'", "'7'", "seed, seconds", "nearest: seed")),
        ("phantom:kidney?finding=dilatd", ("'dilatd'", "normal, dilated", "nearest: dilated")),
        ("phantom:kidney?finding=fibroid", ("'finding'", "'fibroid'", "normal, dilated")),
        ("phantom:kidney?seed=seven", ("'seed'", "'seven'")),
        ("phantom:kidney?seed=-1", ("'seed'", "-1", "0 to")),
        ("phantom:kidney?seconds=nan", ("'seconds'", "nan")),
        ("phantom:kidney?seconds=0", ("'seconds'", "0")),
        ("phantom:kidney?rate_hz=0", ("'rate_hz'", "0.1 to 240")),
        ("phantom:kidney?size=640", ("'size'", "640x480")),
        ("phantom:kidney?size=640x99999", ("'size'", "99999", "64 to 2048")),
        ("phantom:kidney?geometry=round", ("'geometry'", "sector, linear")),
        ("phantom:kidney?sweep=maybe", ("'sweep'", "0, 1")),
        ("phantom:kidney?seed=1&seed=2", ("'seed'", "more than once")),
        ("phantom:kidney?seed", ("'seed'", "''")),
    ],
)
def test_c06_a_wrong_uri_is_refused_with_key_value_and_what_is_allowed(uri, parts):
    with pytest.raises(UsageError) as caught:
        open_phantom(uri)
    assert caught.value.exit_code == 2
    assert all(part in str(caught.value) for part in parts), str(caught.value)
