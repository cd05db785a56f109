"""Facts about the live view without a window."""

import io

import pytest
from rich.console import Console

from stream import console
from stream.clock import MS
from stream.live.screen.terminal import TerminalDisplay, rows_of
from stream.live.viewer.freshness import Banner
from tests.scenes import make_scene, make_verdict

pytestmark = pytest.mark.timeout(60)
DOWN = (Banner("AI DOWN", "worker stopped", "alarm"),)
MARGIN = 0.1


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now_ns = 10**9

    def __call__(self):
        return self.now_ns

    def wait(self, time_ms):
        self.now_ns += time_ms * MS


@pytest.fixture
def terminal(monkeypatch):
    """Let results go to a terminal, and return what it got."""
    got = io.StringIO()
    shown = Console(file=got, force_terminal=True, width=100, height=60, color_system=None)
    monkeypatch.setattr(console, "out", lambda: shown)
    return got


def show_all(display, clock, scenes, gap_ms):
    """Show scenes one after the other."""
    for scene in scenes:
        display.show(scene)
        clock.wait(gap_ms)


def test_the_table_has_all_facts_of_the_screen(terminal):
    display = TerminalDisplay()
    display.show(make_scene(banners=DOWN, source="phantom:kidney"))
    display.close()
    for words in ("AI DOWN", "worker stopped", "dilated", "0.90", "25.0 fps", "phantom:kidney"):
        assert words in terminal.getvalue()
    assert "Not a medical device" in terminal.getvalue()


def test_without_a_current_result_there_is_no_label_and_no_number(terminal):
    display = TerminalDisplay()
    display.show(make_scene(verdict=None, banners=DOWN))
    display.close()
    assert "no current result" in terminal.getvalue()
    assert "dilated" not in terminal.getvalue()
    assert "0.90" not in terminal.getvalue()


def test_rows_without_a_result_do_not_depend_on_one():
    withdrawn = rows_of(make_scene(verdict=None), MARGIN)
    assert withdrawn == rows_of(make_scene(verdict=None, spec=None), MARGIN)
    assert withdrawn == rows_of(make_scene(verdict=make_verdict("unknown label")), MARGIN)


def test_the_table_is_drawn_ten_times_a_second_at_most(terminal):
    clock = Clock()
    display = TerminalDisplay(clock=clock)
    scenes = [make_scene(clock=f"time {index:03d}") for index in range(100)]
    show_all(display, clock, scenes, 10)
    display.close()
    drawn = [scene.clock for scene in scenes if scene.clock in terminal.getvalue()]
    assert drawn == [f"time {index:03d}" for index in range(0, 100, 10)]


def test_a_line_is_printed_when_the_label_changes(capsys):
    clock = Clock()
    display = TerminalDisplay(clock=clock)
    same = [make_scene(verdict=make_verdict("dilated", 0.8))] * 3
    other = [make_scene(verdict=make_verdict("normal", 0.1))] * 3
    show_all(display, clock, same + other, 2000)
    display.close()
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["14:03:22 | dilated (dilated 0.80)", "14:03:22 | normal (dilated 0.10)"]


def test_a_line_is_printed_when_a_banner_comes_and_when_it_goes(capsys):
    clock = Clock()
    display = TerminalDisplay(clock=clock)
    bad = make_scene(verdict=None, banners=DOWN)
    show_all(display, clock, [bad, bad, make_scene(), make_scene()], 2000)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "14:03:22 | no current result | AI DOWN (worker stopped)"
    assert len(lines) == 2


def test_the_age_in_a_cause_alone_is_no_change(capsys):
    clock = Clock()
    display = TerminalDisplay(clock=clock)
    causes = [f"last frame {age} s ago" for age in range(5)]
    scenes = [make_scene(banners=(Banner("VIDEO STALLED", cause, "alarm"),)) for cause in causes]
    show_all(display, clock, scenes, 2000)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_one_line_a_second_at_most_and_the_last_change_is_not_lost(capsys):
    clock = Clock()
    display = TerminalDisplay(clock=clock)
    flicker = [make_scene(verdict=make_verdict(name)) for name in ("dilated", "normal")] * 20
    show_all(display, clock, [*flicker, make_scene(verdict=None)], 100)
    clock.wait(1000)
    display.show(make_scene(verdict=None))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 6
    assert "no current result" in lines[-1]


@pytest.mark.parametrize("text", ["\x1b[2J\x1b]0;title\x07", "[red]x[/red]", "\ud800", "a\nb"])
def test_no_text_can_steer_the_terminal(capsys, text):
    banner = Banner(text, text, "alarm")
    TerminalDisplay().show(make_scene(banners=(banner,), source=text, clock=text))
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\x1b" not in out


@pytest.mark.parametrize("text", ["\x1b[2J", "[red]x[/red]", "\ud800"])
def test_no_text_can_steer_the_table(text):
    scene = make_scene(banners=(Banner(text, text, "alarm"),), hud=((text, text),))
    for row in rows_of(scene, MARGIN):
        assert all(cell.isprintable() for cell in row)


def test_a_terminal_has_no_keys_and_no_picture():
    display = TerminalDisplay()
    display.toggle_full_screen()
    assert display.poll_keys() == ()
    assert display.picture_bgr() is None
