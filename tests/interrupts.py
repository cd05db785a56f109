"""Programs that heed Ctrl-C wherever the tests themselves run."""

import signal


def heed_interrupts() -> None:
    """Undo what a shell does to jobs in the background, before a program starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
