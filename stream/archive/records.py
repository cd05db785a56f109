"""What the archive's processes say to each other and what the work list keeps of a recording.

Everything travels as msgpack bytes and is checked against these types where it arrives, between
processes and over Ray alike.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engines.sidecar import EngineKey
from stream.config import AnalysisConfig
from stream.session.manifest import EngineUsed

State = Literal["todo", "running", "done", "unusable", "failed"]
Kind = Literal["file", "stills", "folder"]
SESSIONS, WORK = "sessions", "work"


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recording as it lies in the tree.

    Parameters
    ----------
    path : relative to the tree's root, as the system's bytes
    kind : one file, a folder whose stills make one clip, or a folder that cannot be listed
    size : bytes; of stills the sum; -1 where the system does not tell
    mtime_ns : newest change
    problem : why the folder cannot be listed
    """

    path: bytes
    kind: Kind
    size: int
    mtime_ns: int
    problem: str = ""


class Answering(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The engine that every worker must open; see `stream.archive.engine`.

    Parameters
    ----------
    model_path, model_digest : the model file that was given
    used : as every manifest says it
    key : of its cache entry; None for the default engine
    cache : folder of compiled engines, or empty for the user's own
    probe : npz of the known answers, which every worker's engine must give
    """

    model_path: str
    model_digest: str
    used: EngineUsed
    key: EngineKey | None
    cache: str
    probe: bytes


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What makes results comparable: one archive has one of each.

    Parameters
    ----------
    model, engine_model : sha256 of the file given and of the one the engine was compiled from
    engine : name, version and precision
    report : whether each session gets its report
    """

    model: str
    engine: str
    engine_model: str
    config: AnalysisConfig
    stream_index: int | None
    explain: Literal["ig"] | None
    report: bool


class Setup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a worker is told before its first recording.

    Parameters
    ----------
    version : of this program
    run : names the only folder that workers write to, in the work folder of the archive
    root, out : absolute folders of recordings and of the archive, as the system's bytes
    cores : processor numbers to keep to; empty for no bound
    threads : of the engine
    """

    version: str
    run: str
    root: bytes
    out: bytes
    answering: Answering
    settings: Settings
    cores: tuple[int, ...]
    threads: int


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """One recording to analyse.

    Parameters
    ----------
    session : name of its session folder
    sha256 : digest that it must have, empty for one that cannot be read where the work list is;
        None where the worker shares the machine
    """

    recording: Found
    session: str
    sha256: str | None = None


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the table says of an analysed recording; times of the run are left out.

    Parameters
    ----------
    label, share : verdict and the share of valid frames behind it
    finding : the label is the finding looked for
    best_score : of the first key frame; None when none was kept
    peak : highest smoothed probability of the finding; None when no frame could be judged
    threshold, margin : of the model and of the settings
    frames, valid : grabbed, believed
    duration_s : None without a clock
    """

    label: str
    share: float
    finding: bool
    best_score: float | None
    peak: float | None
    threshold: float
    margin: float
    frames: int
    valid: int
    duration_s: float | None
    partial: bool
    problems: tuple[str, ...]


class Ready(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """The engine is open; `owner` names the process for the work list."""

    owner: str


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """The worker cannot do the work at all; fields are those of `SonostreamError`."""

    exit_code: int
    subject: str
    problem: str
    remedy: str = ""
    fault: str = ""


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True, kw_only=True):
    """How the analysis of one recording ended.

    Parameters
    ----------
    state : done, unusable (the recording) or failed (we)
    exit_code : 0, or 4 for a partial recording, or that of the error
    sha256, facts : of a recording that is done
    """

    state: Literal["done", "unusable", "failed"]
    exit_code: int = 0
    fault: str = ""
    text: str = ""
    sha256: str = ""
    seconds: float = 0.0
    facts: Facts | None = None


Answer = Ready | Refused | Outcome
