"""The sub-command that lists capture devices."""

from __future__ import annotations

from itertools import groupby

from stream import console
from stream.sources.live.v4l2 import Device, Mode, list_devices

_COLUMNS = ("address", "name", "format", "sizes and rates in Hz")


def devices(*, json: bool = False) -> None:
    """List capture devices with their formats, sizes and rates.

    Parameters
    ----------
    json
        Print JSON.
    """
    found = list_devices()
    if json:
        console.show_json(found)
    elif found:
        console.show_table(
            "Capture devices", _COLUMNS, [row for one in found for row in _rows(one)]
        )
    else:
        console.say("no capture device; plug one in, or give a file, phantom: or network address")


def _rows(device: Device) -> list[tuple[str, str, str, str]]:
    """Return one row for each pixel format; sizes share a line for each set of rates."""
    name = f"{device.name} ({device.driver})" if device.driver else device.name
    if not device.modes:
        return [(device.address, name, "-", device.problem or "names no formats")]
    rows = []
    for pixel_format, modes in groupby(device.modes, lambda mode: mode.pixel_format):
        lines = [
            f"{', '.join(_size(mode) for mode in same)}: {_rates(rates)}"
            for rates, same in groupby(modes, lambda mode: mode.rates_hz)
        ]
        rows.append((device.address, name, pixel_format, "\n".join(lines)))
    return rows


def _size(mode: Mode) -> str:
    return f"{mode.size_wh[0]}x{mode.size_wh[1]}"


def _rates(rates_hz: tuple[float, ...]) -> str:
    return ", ".join(f"{rate:g}" for rate in rates_hz) or "rate not told"
