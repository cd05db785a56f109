"""Drawn pictures for tests of data checks; seeded, none like another."""

import cv2
import numpy as np


def speckle(seed, size_wh=(160, 120)):
    """Return grey blobs (H, W), uncorrelated between seeds."""
    noise = np.random.default_rng(seed).normal(0, 1, size_wh[::-1])
    smooth = cv2.GaussianBlur(noise, (0, 0), size_wh[0] / 40)
    return (110 + 45 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def write_picture(path, picture):
    """Write a picture below folders that need not exist yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)
    return path
