"""Every line a person sees; the only module that imports rich.

Results go to stdout, progress and warnings to stderr; progress only on a terminal.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from stream.errors import StreamError

PIPE_WIDTH = 240


def out() -> Console:
    """Return the console of results; wide where no terminal sets the width, so paths stay whole."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def err() -> Console:
    """Return the console of progress, warnings and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print one line of result."""
    out().print(Text(text))


def warn(text: str) -> None:
    """Print one line of warning."""
    err().print(Text(text, style="yellow"))


def fail(text: str) -> None:
    """Print one line of error; line breaks inside it become spaces."""
    err().print(Text(" ".join(text.splitlines()), style="bold red"))


def trace() -> None:
    """Print the traceback of the error under way; of one about an input, without its words."""
    error = sys.exception()
    if error is not None and (stack := _wordless(error)):
        err().print(Text(stack))
    else:
        err().print_exception()


def start_log() -> None:
    """Print what modules log; of an error about an input where it came from, not its words."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG, handlers=[handler])


class _Formatter(logging.Formatter):
    def formatException(  # noqa: N802 - named by logging
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        return (ei[1] and _wordless(ei[1])) or super().formatException(ei)


def _wordless(error: BaseException) -> str:
    """Return traceback and kinds of an error about an input, or nothing for any other.

    The words of it and of its causes may hold the name of a recording or what was read from it.
    """
    chain = [error]
    while below := chain[0].__cause__ or chain[0].__context__:
        chain.insert(0, below)
    if not any(isinstance(one, StreamError) for one in chain):
        return ""
    parts = ("".join(traceback.format_tb(one.__traceback__)) + type(one).__name__ for one in chain)
    return "Traceback (most recent call last):\n" + "\nand then\n".join(parts)


def show_json(value: Any) -> None:
    """Print a value as one JSON document."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of results."""
    table = Table(title=Text(title), title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out().print(table)


def show_facts(title: str, facts: Mapping[str, str]) -> None:
    """Print labelled facts."""
    show_table(title, ("what", "value"), list(facts.items()))


_LEVEL_STYLES = {
    "alarm": "bold white on red",
    "warning": "bold black on yellow",
    "note": "bold white on blue",
    "result": "bold",
}


def is_terminal() -> bool:
    """Say whether a person reads the results on a terminal."""
    return out().is_terminal


@contextmanager
def live_table() -> Iterator[Callable[[str, str, Sequence[tuple[str, str, str]]], None]]:
    """Show a table that is drawn over itself.

    Yields what to call with a title, a line below, and rows of (level, name, value); a level is
    alarm, warning, note, result or empty.
    """
    with Live(console=out(), auto_refresh=False) as live:

        def show(title: str, below: str, rows: Sequence[tuple[str, str, str]]) -> None:
            table = Table(
                title=Text(title), caption=Text(below), title_justify="left", show_header=False
            )
            table.add_column(no_wrap=True)
            table.add_column(overflow="fold")
            for level, name, value in rows:
                style = _LEVEL_STYLES.get(level, "")
                table.add_row(Text(name, style=style), Text(value, style=style))
            live.update(table, refresh=True)

        yield show


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed, unit = task.finished_speed or task.speed, task.fields["unit"]
        digits = 0 if speed and speed >= 10 else 1
        return Text(f"{speed:.{digits}f} {unit}" if speed else f"- {unit}", style="cyan")


@contextmanager
def progress(label: str, unit: str = "fps") -> Iterator[Callable[[int | None], None]]:
    """Show a bar with frames (or what `unit` says) per second and remaining time.

    Yields what to call after each frame, with the expected number of frames or None.
    """
    console = err()
    columns = (
        TextColumn("{task.fields[label]}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
    with bar:
        task = bar.add_task("", total=None, label=label, unit=unit)
        yield lambda total: bar.update(task, advance=1, total=total)
