"""Reports as JSON files; `docs/bench-schema.json` says what is in one.

``python -m benchmarks.report_file`` writes that schema.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.result import Report
from stream.errors import SourceError

SCHEMA_FILE = Path(__file__).parents[1] / "docs" / "bench-schema.json"


def read_report(path: Path) -> Report:
    """Read a report.

    Raises
    ------
    SourceError
        If it cannot be read, or is no report of this schema.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise SourceError(path.name, f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        problem = f"is no report of `stream bench`, schema 1: {error}"
        raise SourceError(path.name, problem, "give what `--json` wrote") from error


def write_report(path: Path, report: Report) -> None:
    """Write a report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def schema_text() -> str:
    """Return the JSON schema of a report."""
    schema = msgspec.json.schema(Report)
    return msgspec.json.format(msgspec.json.encode(schema), indent=1).decode() + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text())
