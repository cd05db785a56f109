"""Drawn scanner screens around phantom images, and screens without any image."""

import cv2
import numpy as np

from stream.sources.phantom.scene import PhantomScene
from stream.sources.phantom.spec import PhantomSpec

FONT = cv2.FONT_HERSHEY_SIMPLEX


def phantom(organ, finding, *, geometry="sector", seed=0, count=8, size_wh=(640, 480)):
    """Return successive grey pictures and where the fan is, shape (H, W)."""
    spec = PhantomSpec(
        organ, finding, seed=seed, seconds=4, size_wh=size_wh, geometry=geometry, rate_hz=25
    )
    scene = PhantomScene(spec)
    return [scene.frame(index)[0] for index in range(count)], scene.fan


def screens(images, fan, *, size_wh=(1280, 720), place=(0.5, 0.5), scale=0.75, black=0):
    """Paste images among text, a ruler and a grey bar.

    Returns
    -------
    pictures, where the fan is, where text and bars are
    """
    width, height = size_wh
    share = scale * min(width / fan.shape[1], height / fan.shape[0])
    wide, high = round(fan.shape[1] * share), round(fan.shape[0] * share)
    left, top = round((width - wide) * place[0]), round((height - high) * place[1])
    inside = np.zeros((height, width), bool)
    small_fan = cv2.resize(fan.astype(np.uint8), (wide, high), interpolation=cv2.INTER_NEAREST) > 0
    inside[top : top + high, left : left + wide] = small_fan
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    screen = _furniture(size_wh, black, (columns[0], columns[-1]), (rows[0], rows[-1]))
    marks = (np.abs(screen.astype(int) - black) > 25) & ~inside
    pictures = []
    for image in images:
        picture = screen.copy()
        resized = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA)
        picture[top : top + high, left : left + wide][small_fan] = resized[small_fan]
        pictures.append(picture)
    return pictures, inside, marks


def _furniture(size_wh, black, columns, rows):
    width, height = size_wh
    unit = height / 720
    screen = np.full((height, width), black, np.uint8)
    _write(screen, "DOE JANE ANN 1970-01-01", (12, 26), 0.8, unit)
    _write(screen, "ID 4711-0815", (12, 52), 0.6, unit)
    _write(screen, "24-05-2024 11:24:20", (width / unit - 250, 26), 0.6, unit)
    _write(screen, "TIS 0.4 MI 1.1", (width / unit - 250, 52), 0.5, unit)
    for row in range(rows[0], rows[1], max(4, (rows[1] - rows[0]) // 15)):
        right = columns[1] + round(18 * unit)
        screen[row, right : right + round(8 * unit)] = 170
    bar = columns[0] - round(60 * unit)
    if bar > 0:
        ramp = np.linspace(255, 0, height // 3).astype(np.uint8)
        screen[height // 4 : height // 4 + height // 3, bar : bar + round(18 * unit)] = ramp[
            :, None
        ]
    return screen


def _write(screen, text, place, size, unit):
    x, y = round(place[0] * unit), round(place[1] * unit)
    thick = max(1, round(1.5 * unit))
    cv2.putText(screen, text, (x, y), FONT, size * unit, 220, thick, cv2.LINE_AA)


def text_screen(lines, *, ink=220, paper=0, size_wh=(1280, 720)):
    """Return a screen full of text."""
    screen = np.full(size_wh[::-1], paper, np.uint8)
    for line in range(lines):
        place = (40 + 13 * (line % 5), round((line + 1) * size_wh[1] / (lines + 1)))
        cv2.putText(screen, f"Patient list, entry {line}: none", place, FONT, 0.8, ink, 2)
    return screen


def colour_bars(size_wh=(1280, 720), border=0):
    """Return an RGB test picture of seven bars, black above and below."""
    high, low = 235, 16
    colours = [(high if bit & 4 else low, high if bit & 2 else low, high if bit & 1 else low)
               for bit in range(7, 0, -1)]  # fmt: skip
    width, height = size_wh
    row = np.array(colours, np.uint8)[np.arange(width) * 7 // width]
    bars = np.repeat(row[None], height, axis=0)
    bars[:border] = bars[height - border :] = 0
    return bars
