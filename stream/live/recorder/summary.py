"""The manifest of a live session, written when it begins and when it is sealed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from engines.spec import ModelSpec
from stream.errors import StorageError
from stream.live.recorder.record import LiveRecord
from stream.live.supervisor.config import LiveConfig
from stream.live.wire.messages import EpochNote, FrameHeader
from stream.session.ledger import NAMES
from stream.session.manifest import (
    Input,
    LiveUsed,
    Manifest,
    ModelUsed,
    utc_now,
    versions,
    write_manifest,
)
from stream.session.unsealed import UNSEALED
from stream.sources.base import SourceInfo
from stream.sources.live.address import shown_address


class Summary:
    """What a manifest needs to know, gathered as it becomes known.

    Parameters
    ----------
    folder : session folder
    config : of the session
    """

    def __init__(self, folder: Path, config: LiveConfig) -> None:
        self._folder, self._config = folder, config
        self._created = utc_now()
        self._used: ModelUsed | None = None
        self._size_wh: tuple[int, int] | None = None
        self._name = self._kind = self._detail = ""
        self._rate_hz: float | None = None
        self._masked = config.mask

    @property
    def spec(self) -> ModelSpec | None:
        """Of the model that answers, once it is known."""
        return self._used.spec if self._used else None

    def meet_model(self, used: ModelUsed) -> bool:
        """Take note of the model and engine; False if they are known."""
        known, self._used = self._used == used, used
        return not known

    def meet_source(self, header: FrameHeader) -> None:
        """Take note of a frame: name and rate of the source are those of now."""
        self._name = header.source
        self._masked = self._masked and header.masked
        if header.period_ns:
            self._rate_hz = round(1e9 / header.period_ns, 2)

    def meet_epoch(self, note: EpochNote) -> None:
        """Take note of an epoch; the first one's size is the session's."""
        if self._size_wh is None:
            left, top, right, bottom = note.box_xyxy
            self._size_wh = (right - left, bottom - top)
            masked = "masked outside the sector" if note.outline else "not masked"
            self._detail = f"{note.size_wh[0]} x {note.size_wh[1]} px at the source, {masked}"

    def write_begun(self, record: LiveRecord) -> None:
        """Write the manifest of a session that goes on; it says that nobody has sealed it.

        A folder that cannot be written is reported when the session is sealed.
        """
        with suppress(StorageError):
            self._write(record, dict.fromkeys(NAMES, 0), (UNSEALED,), complete=False)

    def write(self, record: LiveRecord, ledger: dict[str, int], film: str) -> None:
        """Write the manifest of a sealed session, if a model has answered.

        Parameters
        ----------
        film : why the video stopped, empty when it did not

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        if self._used is not None:
            problems = _problems(record, film)
            self._write(record, ledger, problems, complete=not record.stopped)

    def _write(
        self,
        record: LiveRecord,
        ledger: dict[str, int],
        problems: tuple[str, ...],
        *,
        complete: bool,
    ) -> None:
        assert self._used is not None, "a model has answered"
        config = self._config
        uri = config.source if config.repeatable else shown_address(config.source)
        info = SourceInfo(
            kind="live",
            name=self._name or shown_address(config.source),
            size_wh=self._size_wh or (1, 1),
            rate_hz=self._rate_hz,
            frame_count=None,
            detail=self._detail,
            sha256="",
        )
        manifest = Manifest(
            created=self._created,
            complete=complete,
            partial=bool(problems or ledger["not_recorded"]),
            problems=problems,
            input=Input(uri=uri, stream_index=None, info=info),
            model=self._used,
            config=config.analysis,
            explain=None,
            verdict=record.verdict(),
            ledger=ledger,
            versions=versions(),
            files={},
            live=LiveUsed(
                started_ns=config.started_ns,
                freshness_ms=config.freshness_ms,
                masked=self._masked,
                repeatable=config.repeatable,
            ),
        )
        write_manifest(self._folder, manifest)


def _problems(record: LiveRecord, film: str) -> tuple[str, ...]:
    doubt = "; the answers since the last good probe withdrawn"
    found = [f"{text}{doubt}" for text in record.withdrawals.values()]
    if record.alarm:
        found.append(f"[F28] {record.alarm}")
    if record.stopped:
        found.append(f"[F27] recording stopped: {record.stopped}")
    if film and film != record.stopped:
        found.append(f"[F27] the video stopped: {film}")
    return tuple(found)
