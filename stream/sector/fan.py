"""Plane geometry of a fan: convex polygons as float32 arrays of corners, shape (n, 2)."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.sector.outline import MAX_CORNERS

Polygon = NDArray[np.float32]

_FACE = 0.15  # share of the height in which the probe's face lies
_STEEPEST, _WIDEST = 0.02, 3.5  # tangent of a side's angle to the vertical
_SIDE = 0.15  # shortest side, of the height
_BEND = 0.02  # deviation from a straight line, of the height
_ARC_CORNERS = 17


def hull_of(mask: NDArray[np.uint8]) -> Polygon:
    """Return the convex hull of the pixels that are not 0, with their full squares."""
    rows = np.flatnonzero(mask.any(axis=1))
    left = mask[rows].argmax(axis=1)
    right = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    corners = [np.stack([x, rows + y], axis=1) for x in (left, right) for y in (0, 1)]
    return convex(np.concatenate(corners))


def convex(points: NDArray[np.number]) -> Polygon:
    """Return the convex hull of points, shape (n, 2)."""
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], np.float32)


def mirrored(polygon: Polygon) -> Polygon:
    """Return the hull of a fan and its mirror image; the axis is the middle of the probe's face."""
    top, height = float(polygon[:, 1].min()), float(np.ptp(polygon[:, 1]))
    face = polygon[polygon[:, 1] <= top + _FACE * height, 0]
    axis_twice = float(face.min() + face.max())
    return convex(np.concatenate([polygon, polygon * (-1, 1) + (axis_twice, 0)]))


def completed(polygon: Polygon) -> Polygon:
    """Return a symmetric fan that holds a symmetric polygon: straight sides down to one arc.

    A polygon without a straight side comes back as it is.
    """
    axis = float(polygon[:, 0].min() + polygon[:, 0].max()) / 2
    side = _right_side(polygon, axis)
    if side is None:
        return polygon
    (x, y), slope = side
    if slope < _STEEPEST:
        bottom = float(polygon[:, 1].max())
        added = np.array([(x, bottom), (2 * axis - x, bottom)])
        return convex(np.concatenate([polygon, added]))
    apex = np.array([axis, y - (x - axis) / slope])
    radius = float(np.hypot(*(polygon - apex).T).max())
    angles = np.linspace(-1, 1, _ARC_CORNERS) * math.atan(slope)
    arc = apex + radius * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return convex(np.concatenate([polygon, arc]))


def grown(polygon: Polygon, margin: float) -> Polygon:
    """Return the polygon with everything within `margin` of it."""
    angles = np.arange(8) * (math.tau / 8)
    ring = margin * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return convex((polygon[:, None] + ring).reshape(-1, 2))


def clipped(polygon: Polygon, size_wh: tuple[int, int]) -> Polygon:
    """Return the part of a polygon within a picture."""
    width, height = size_wh
    frame = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    _, common = cv2.intersectConvexConvex(polygon, frame)
    return np.asarray(common, np.float32).reshape(-1, 2)


def filled(polygon: Polygon, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return shape (h, w), True for pixels that the polygon covers or touches."""
    canvas = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(canvas, np.rint(polygon - 0.5).astype(np.int32), 1)
    return canvas > 0


def simplified(polygon: Polygon) -> tuple[tuple[int, int], ...]:
    """Return at most `MAX_CORNERS` corners on the grid, convex."""
    tolerance = 0.5
    while True:
        corners = cv2.approxPolyDP(polygon[:, None], tolerance, True)
        hull = cv2.convexHull(np.rint(corners).astype(np.int32))[:, 0]
        if len(hull) <= MAX_CORNERS:
            return tuple((int(x), int(y)) for x, y in hull)
        tolerance *= 2


def _right_side(polygon: Polygon, axis: float) -> tuple[Polygon, float] | None:
    """Return the upper end of the longest straight right side and its slope dx / dy."""
    height = float(np.ptp(polygon[:, 1]))
    corners = cv2.approxPolyDP(polygon[:, None], _BEND * height, True)[:, 0]
    best, found = _SIDE * height, None
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        upper, lower = (start, end) if start[1] < end[1] else (end, start)
        across, down = (lower - upper).tolist()
        if upper[0] < axis or down <= 0 or not 0 <= across / down <= _WIDEST:
            continue
        if (length := math.hypot(across, down)) > best:
            best, found = length, (upper.astype(np.float32), across / down)
    return found
