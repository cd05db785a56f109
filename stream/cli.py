"""The `stream` command: names every sub-command as a lazy import string."""

from __future__ import annotations

import errno
import signal
import sys
from types import FrameType

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from engines.errors import SonostreamError
from stream import __version__

DEFECT, STORAGE = 70, 6
STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO})
COMMANDS = {
    "replay": ("stream.replay_command:replay", "Analyse recordings and write a report for each."),
    "demo": (
        "stream.replay_command:demo",
        "Analyse the bundled clip with the bundled model.",
    ),
    "live": ("stream.live_command:live", "Analyse a source in real time, with an overlay."),
    "capture": ("stream.roles_command:capture", "Publish a source to other machines."),
    "infer": ("stream.roles_command:infer", "Analyse what other machines publish."),
    "view": ("stream.roles_command:view", "Show what other machines publish."),
    "report": (
        "stream.report_command:report",
        "Write the report of a session: HTML, PDF, PNG, DICOM, tables.",
    ),
    "send": ("stream.send_command:send", "Send a session's DICOM objects to an archive."),
    "review": (
        "stream.review_command:review",
        "Judge frames on a page, compare readers, export labels.",
    ),
    "archive": ("stream.archive_command:archive", "Analyse a whole tree of recordings."),
    "devices": ("stream.devices_command:devices", "List capture devices."),
    "keys": ("stream.live.wire.keys:keys", "Make the keys for roles on different machines."),
    "verify": ("stream.commands:verify", "Run a session again and compare byte for byte."),
    "info": ("stream.commands:info", "Say what a model or a clip is."),
    "doctor": ("stream.doctor:doctor", "Say what is installed, which engines work, and how fast."),
    "phantom": ("stream.commands:phantom", "Write a phantom clip as a video file."),
    "compile": ("calib.compile:compile_model", "Compile an engine and let the gate judge it."),
    "calibrate": ("calib.calibrating:calibrate", "Make a model INT8, or refit its temperature."),
    "explain": ("stream.explain:write_explainer", "Write the graph that explains a model."),
    "train": ("train.cli:train", "Train a recipe and export its model."),
    "audit": ("train.cli:audit", "Check labelled data for copies, leaks and reversed labels."),
    "evaluate": ("train.cli:evaluate", "Measure a model on labelled frames or clips."),
    "pointing": ("train.cli:pointing", "Measure whether a model's saliency points at the finding."),
    "bench": ("benchmarks.cli:bench", "Measure speed against what it replaces."),
}


def build_app() -> App:
    """Return the command line application."""
    app = App(
        name="stream",
        version=__version__,
        help="Real-time ultrasound video stream analyser. Not a medical device.\n\n"
        "Add `--debug` to any command for tracebacks and what a decoder printed.",
        help_format="markdown",
    )
    for name, (target, summary) in COMMANDS.items():
        app.command(target, name=name, help=summary)
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 done, 2 usage, 3 input unusable, 4 partial, 5 model refused, 6 storage, 70 a defect of ours,
    130 interrupted, 143 terminated.
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    words = tokens.index("--") if "--" in tokens else len(tokens)
    debug = "--debug" in tokens[:words]
    tokens = [word for word in tokens[:words] if word != "--debug"] + tokens[words:]
    if debug:
        from stream import console

        console.start_log()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        status = build_app()(
            tokens, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except Exception as error:  # noqa: BLE001 - the last line of defence
        return _report(error, debug)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status if isinstance(status, int) else 0


def run() -> None:
    """Run as the installed script."""
    sys.exit(main())


def _report(error: Exception, debug: bool) -> int:
    from stream import console

    if debug:
        console.trace()
    if isinstance(error, SonostreamError):
        console.fail(str(error))
        return error.exit_code
    if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
        console.fail(f"error storage: {error.strerror}; check space and limits")
        return STORAGE
    if isinstance(error, CycloptsError):
        console.fail(f"error usage: {str(error) or type(error).__name__}; see `stream --help`")
        return 2
    console.fail(
        f"error defect: {type(error).__name__}: {error}; run again with --debug and report it"
    )
    return DEFECT


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    run()
