"""What is written beside a cached engine: what it is, what it may be used for, and its seal."""

from __future__ import annotations

import hashlib

import msgspec

from engines.options import Batch, Mode, Precision
from engines.spec import ModelSpec

SCHEMA = 1


class EngineKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that an engine depends on; another value of any field is another engine.

    Parameters
    ----------
    model_digest : sha256 of the ONNX file it was compiled from
    backend, backend_version : runtime
    device, driver : as the runtime names them; `driver` is empty on a CPU
    precision, batch, mode, threads : as in `engines.options.EngineOptions`
    extras : further settings of the backend that change the engine, such as portability
    """

    model_digest: str
    backend: str
    backend_version: str
    device: str
    driver: str
    precision: Precision
    batch: Batch
    mode: Mode
    threads: int
    extras: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the cache entry: 32 hexadecimal digits of the key's digest."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measured value, with its 95 % interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the acceptance gate found; see `calib.agreement`.

    Parameters
    ----------
    accepted : whether `auto` may take the engine
    reference_digest : sha256 of the FP32 model that it was compared with
    frames, frames_digest : how many held-out frames, and the digest of their list
    frames_from : where they came from, in words
    figures : by name
    missed : one line for each limit that was not kept; empty when accepted
    """

    accepted: bool
    reference_digest: str
    frames: int
    frames_digest: str
    frames_from: str
    figures: dict[str, Figure]
    missed: tuple[str, ...] = ()


class Speed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Measured when compiled, beside the FP32 default engine in the same run.

    Parameters
    ----------
    p50_ms, p99_ms : of one run at the best batch, nothing else under way
    rate_hz : frames per second at the best batch, with `depth` runs under way
    over_default : its rate over that of the FP32 default engine of this machine, both at one
        frame a run, as sessions run them
    """

    p50_ms: float
    p99_ms: float
    rate_hz: float
    over_default: float


class Sidecar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that is known of a cached engine.

    Parameters
    ----------
    key : what it was compiled from and for
    engine_digest, model_digest, probe_digest : sha256 of the files of the entry
    spec : contract of the model
    verdict, speed : None until the gate has run
    created : wall time in UTC, for people only
    """

    schema: int = SCHEMA
    key: EngineKey
    engine_digest: str
    model_digest: str
    probe_digest: str
    spec: ModelSpec
    verdict: Verdict | None = None
    speed: Speed | None = None
    created: str = ""


def encode_sidecar(sidecar: Sidecar) -> bytes:
    """Return the JSON of a sidecar, a line break, and the sha256 of what comes before."""
    text = msgspec.json.format(msgspec.json.encode(sidecar), indent=2)
    return text + b"\n" + hashlib.sha256(text).hexdigest().encode() + b"\n"


def decode_sidecar(data: bytes) -> Sidecar:
    """Parse and check a sidecar.

    Raises
    ------
    ValueError
        If any byte differs from what was written.
    """
    text, _, seal = data[:-1].rpartition(b"\n")
    if data[-1:] != b"\n" or hashlib.sha256(text).hexdigest().encode() != seal:
        raise ValueError("the sidecar was changed or cut")
    sidecar = msgspec.json.decode(text, type=Sidecar)
    if sidecar.schema != SCHEMA:
        raise ValueError(f"sidecar schema {sidecar.schema}: this version reads {SCHEMA}")
    return sidecar
