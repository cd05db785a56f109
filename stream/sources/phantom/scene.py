"""One synthetic clip: everything drawn once, then any frame on its own."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.sources.phantom.beam import blur, compress, point_spread, transmission, upsample
from stream.sources.phantom.canvas import Canvas, View, amplitude
from stream.sources.phantom.cast import draw_cast, streams
from stream.sources.phantom.field import F32, MARGIN, Textures, scatterer_field, smooth_noise
from stream.sources.phantom.motion import Pose
from stream.sources.phantom.probe import BEAMS, SAMPLES
from stream.sources.phantom.scan import ScanConverter
from stream.sources.phantom.shapes import Points
from stream.sources.phantom.spec import PhantomSpec

MIN_FINDING_SHARE = 0.004
"""Share of the fan below which a finding does not count as seen."""

_COARSE = BEAMS // 2
_HIDDEN = 0.08
_PLANE_CORRELATION = 0.02
_WARP = 0.016
_NOISE_SLOPE_DB = 30.0


class PhantomScene:
    """Renders the frames of one clip in any order, always the same.

    Parameters
    ----------
    spec : what to show
    """

    def __init__(self, spec: PhantomSpec) -> None:
        self.spec = spec
        self._cast = draw_cast(spec)
        probe = self._cast.probe
        field_rng, texture_rng = streams(spec, "field", "texture")
        self._textures = Textures.draw(texture_rng, probe.depth_mm)
        self._fields = [scatterer_field(field_rng, (SAMPLES, BEAMS)) for _ in range(2)]
        self._noise = scatterer_field(field_rng, (SAMPLES, BEAMS))
        self._contact_db = self._draw_contact(field_rng)
        self._zones = point_spread(probe)
        self._converter = ScanConverter.fit(probe, spec)
        self._x_mm, self._z_mm = probe.positions(_COARSE)
        self._at_rest = probe.grid(self._x_mm, self._z_mm)
        self._depth_mm = np.linspace(0, probe.depth_mm, SAMPLES, dtype=np.float32)[:, None]
        still, moving = self._cast.mobile_mm
        self._mobile = np.clip((self._depth_mm - still) / np.float32(moving - still), 0, 1)

    @property
    def fan(self) -> NDArray[np.bool_]:
        """Shape (H, W), True where the picture shows tissue."""
        return self._converter.fan

    def frame(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Render one frame.

        Parameters
        ----------
        index : in [0, spec.frame_count)

        Returns
        -------
        image : shape (H, W), uint8 grey, 0 outside the fan
        mask : shape (H, W), True on the finding; all False where the finding is absent, hidden by
            a shadow, or smaller than `MIN_FINDING_SHARE` of the fan

        Raises
        ------
        ValueError
            If there is no such frame.
        """
        if not 0 <= index < self.spec.frame_count:
            raise ValueError(f"frame {index}: expected 0 to {self.spec.frame_count - 1}")
        pose = self._cast.motion.at(index / self.spec.rate_hz)
        x_mm, z_mm = self._moved(pose)
        canvas, finding = self._paint(pose, x_mm, z_mm)
        gain = transmission(self._cast.probe, canvas.loss, self._contact_db)
        signal = self._signal(canvas, self._scatterers(pose, x_mm, z_mm), gain, index)
        image = self._converter.picture(compress(signal, self._cast.probe))
        return image, self._mask(finding, gain)

    def envelope(self, index: int) -> F32:
        """Return the echo amplitude of unit-power tissue, without anatomy, gain or noise.

        Returns
        -------
        shape (SAMPLES, BEAMS)
        """
        pose = self._cast.motion.at(index / self.spec.rate_hz)
        signal = blur(self._scatterers(pose, *self._moved(pose)), self._zones)
        return np.hypot(signal[..., 0], signal[..., 1])

    def _draw_contact(self, rng: np.random.Generator) -> F32:
        """Return what the skin lets through per beam and how the gain is set by depth, in dB."""
        uneven = smooth_noise(rng, (3, _COARSE), (3.0, 18.0))[1:2] * 1.2
        across = np.linspace(-1, 1, _COARSE, dtype=np.float32)[None, :]
        side, lost = rng.uniform(-1, 1), rng.uniform(0, 9)
        uneven = uneven - lost * np.clip(np.abs(across + side * 0.4) - 0.55, 0, 1) / 0.45
        bands = smooth_noise(rng, (SAMPLES, 3), (90.0, 3.0))[:, :1] * rng.uniform(0.3, 2.0)
        return np.asarray(uneven + bands, dtype=np.float32)

    def _moved(self, pose: Pose) -> tuple[F32, F32]:
        """Return the tissue position under each sample, shape (SAMPLES, b) each."""
        shift_x, shift_z = pose.breath_xz_mm
        x_mm = self._x_mm - self._mobile * shift_x - pose.probe_mm + self._z_mm * pose.tilt_rad
        z_mm = self._z_mm - self._mobile * shift_z - self._x_mm * pose.tilt_rad
        return x_mm, z_mm

    def _paint(self, pose: Pose, x_mm: F32, z_mm: F32) -> tuple[Canvas, F32 | None]:
        probe = self._cast.probe
        blotch, grain, fibre, speck = self._textures.sample(self._textures.planes, x_mm, z_mm)
        warp_x, warp_z = self._textures.sample(self._textures.warp, x_mm, z_mm)
        size = np.float32(_WARP * probe.depth_mm)
        plane = np.full((1, 1), pose.plane_mm, np.float32)
        view = View(
            points=Points(x_mm + size * warp_x, z_mm + size * warp_z, plane),
            depth_mm=self._depth_mm,
            x_mm=x_mm,
            blotch=blotch,
            grain=grain,
            fibre=fibre,
            speck=speck,
            plane_mm=pose.plane_mm,
            scale_mm=0.06 * probe.depth_mm,
            sample_mm=probe.sample_mm,
        )
        canvas = Canvas(view)
        finding = self._cast.organ.paint(canvas, view)
        self._cast.wall.paint(canvas, view)
        canvas.echo_db += np.float32(probe.spiky_db) * speck
        return canvas, finding

    def _scatterers(self, pose: Pose, x_mm: F32, z_mm: F32) -> F32:
        """Return the scatterers under each sample; they move with the tissue.

        A second field fades in as the plane moves, so speckle decorrelates across the plane.
        """
        phase = pose.plane_mm / (_PLANE_CORRELATION * self._cast.probe.depth_mm)
        mixed = cv2.addWeighted(
            self._fields[0], math.cos(phase), self._fields[1], math.sin(phase), 0.0
        )
        along, across = self._cast.probe.grid(x_mm, z_mm)
        rows = upsample(along - self._at_rest[0])
        columns = upsample(across - self._at_rest[1])
        rows += np.arange(MARGIN[0], MARGIN[0] + SAMPLES, dtype=np.float32)[:, None]
        columns += np.arange(MARGIN[1], MARGIN[1] + BEAMS, dtype=np.float32)[None, :]
        field = cv2.remap(mixed, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(field, dtype=np.float32)

    def _signal(self, canvas: Canvas, field: F32, gain: F32, index: int) -> F32:
        probe = self._cast.probe
        clutter_db = np.float32(probe.clutter_db) - self._depth_mm * np.float32(8 / probe.depth_mm)
        strength = np.sqrt(amplitude(2 * canvas.echo_db) + amplitude(2 * clutter_db))
        signal = field * upsample(strength)[..., None]
        signal[..., 0] += upsample(canvas.mirror)
        signal = blur(signal, self._zones) * upsample(gain)[..., None]
        deep = self._depth_mm * np.float32(1 / probe.depth_mm) - 1
        noise_db = np.float32(probe.noise_db) + np.float32(_NOISE_SLOPE_DB) * deep
        return np.asarray(signal + self._noise_of(index) * amplitude(noise_db)[..., None])

    def _noise_of(self, index: int) -> F32:
        rng = np.random.default_rng([self.spec.seed, index])
        row, column = (int(rng.integers(2 * side)) for side in MARGIN)
        noise = self._noise[row : row + SAMPLES, column : column + BEAMS]
        return noise[:: 1 - 2 * int(rng.integers(2)), :: 1 - 2 * int(rng.integers(2))]

    def _mask(self, finding: F32 | None, gain: F32) -> NDArray[np.bool_]:
        if finding is None:
            return np.zeros_like(self.fan)
        seen = np.where((finding < 0) & (gain > _HIDDEN), np.float32(255), np.float32(0))
        mask = (self._converter.picture(upsample(seen).astype(np.uint8)) > 127) & self.fan
        if np.count_nonzero(mask) < MIN_FINDING_SHARE * np.count_nonzero(self.fan):
            return np.zeros_like(self.fan)
        return mask
