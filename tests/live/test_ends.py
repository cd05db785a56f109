"""How `stream live` ends, by whatever end: sealed, in time, and nothing left behind."""

import logging
import os
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from stream.clock import now_ns
from stream.errors import StorageError, WireError
from stream.live.supervisor.quiet import Quiet
from stream.live.supervisor.session import locked, rendezvous
from stream.live.wire.channels import Publisher
from stream.live.wire.endpoints import Link
from stream.live_ending import close_session
from stream.session.ledger import balances
from stream.session.manifest import read_manifest
from tests.live_commands import LiveCommand, Watcher, until
from tests.live_session import LiveSession, alive
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)
EXIT_S, MOMENTS, MANY_MOMENTS = 5.0, 12, 200


def end_at(out, number, moment_s, name):
    """Signal a session at a moment of its life; check how it ends."""
    model = out / "tiny.onnx"
    with LiveCommand(out, model, name=name) as command:
        until(lambda: now_ns() - command.began_ns > moment_s * 1e9, 60)
        if number == signal.SIGINT and command.process.poll() is None:
            os.killpg(command.process.pid, number)  # as a terminal does
        else:
            command.process.send_signal(number)
        status, took_s = command.wait(20)
        text = f"{number.name} after {moment_s:.2f} s: {status} in {took_s:.1f} s; {command.text()}"
        # Before our first line runs, Python's own answer to a signal is to die of it.
        assert status in (128 + number, -number), text
        assert status > 0 or not command.folder.exists(), text
        assert took_s <= EXIT_S, text
        assert not command.pids(), text
        assert not list(command.sockets.glob("sonostream-*")), text
        command.assert_sealed()
        log = command.folder / "live.log"
        assert not log.exists() or "KeyboardInterrupt" not in log.read_text()


def end_at_random(tmp_path, count, seed):
    save_tiny(tmp_path)
    memory = set(Path("/dev/shm").iterdir())
    moments = np.random.default_rng(seed).uniform(0.05, 3.5, count)
    numbers = [signal.SIGINT, signal.SIGTERM] * count
    with ThreadPoolExecutor(3) as pool:
        ends = [
            pool.submit(end_at, tmp_path, number, float(moment), f"s{index}")
            for index, (number, moment) in enumerate(zip(numbers, moments, strict=False))
        ]
        for end in ends:
            end.result()
    assert set(Path("/dev/shm").iterdir()) <= memory


def test_f31_ctrl_c_and_sigterm_at_any_moment_end_a_session_in_order(tmp_path):
    end_at_random(tmp_path, MOMENTS, 31)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_f31_two_hundred_moments(tmp_path):
    end_at_random(tmp_path, MANY_MOMENTS, 310)


def test_f31_ctrl_c_of_a_terminal_reaches_every_process_and_still_seals(tmp_path):
    with LiveCommand(tmp_path, save_tiny(tmp_path)) as command:
        command.wait_running()
        os.killpg(command.process.pid, signal.SIGINT)
        status, took_s = command.wait(20)
        assert (status, took_s < EXIT_S) == (130, True) and not command.pids()
        command.assert_sealed()
        assert read_manifest(command.folder).ledger["analysed"] > 0
        assert "Traceback" not in command.text() + (command.folder / "live.log").read_text()


def test_f32_a_killed_supervisor_leaves_nothing_running_and_the_next_start_sweeps(tmp_path):
    model = save_tiny(tmp_path)
    with LiveCommand(tmp_path, model) as command:
        command.wait_running()
        pids = command.pids()
        assert len(pids) >= 5
        command.process.kill()
        assert until(lambda: not any(alive(pid) for pid in pids), 10) <= 2
        (left,) = command.sockets.glob("sonostream-*")
        report = [sys.executable, "-m", "stream.cli", "report", str(command.folder)]
        done = subprocess.run(report, capture_output=True, text=True, check=False)
        assert done.returncode == 4, "the session can be read, and says that it is not whole"
        page = (command.folder / "report" / "index.html").read_text()
        assert "PARTIAL" in page and "was not sealed" in page
        with LiveCommand(tmp_path, model, name="t", sockets=command.sockets) as again:
            again.wait_running()
            assert not left.exists()


def test_f21_after_a_sleep_results_are_withdrawn_at_once_and_soon_fresh_again(tmp_path):
    with LiveCommand(tmp_path, save_tiny(tmp_path)) as command:
        command.wait_running()
        watcher = Watcher(command)
        until(lambda: watcher.watch().current and watcher.statuses, 20)
        before = watcher.statuses[-1]
        command.signal_all(signal.SIGSTOP)
        wait_s(4)
        woken_ns = now_ns()
        command.signal_all(signal.SIGCONT)
        assert not watcher.viewing.view(now_ns()).current, "withdrawn before anything comes"
        drawn = []

        def fresh():
            if watcher.watch().current:
                drawn.append(watcher.viewing._newest.result.captured_ns)
            return drawn

        assert until(fresh, 20) <= 1.0
        wait_s(1)
        until(lambda: watcher.watch().current, 5)
        assert min(drawn) >= woken_ns, "nothing from before the sleep is drawn"
        after = watcher.statuses[-1]
        watcher.close()
        for role, status in before.roles.items():
            assert (after.roles[role].pid, after.roles[role].restarts) == (status.pid, 0), role
        command.process.send_signal(signal.SIGTERM)
        assert command.wait(20)[0] == 143
        command.assert_sealed()


def wait_s(seconds):
    end_ns = now_ns() + round(seconds * 1e9)
    until(lambda: now_ns() >= end_ns, seconds + 5)


def test_f25_a_second_session_in_a_folder_is_refused_and_names_the_first(tmp_path):
    model = save_tiny(tmp_path)
    with LiveCommand(tmp_path, model) as first:
        first.wait_running()
        with LiveCommand(tmp_path, model) as second:
            assert second.wait(20)[0] == StorageError.exit_code
            assert f"[F25] {first.folder}: process {first.process.pid} runs a session" in (
                second.text().replace("\n", "")
            )
        assert first.process.poll() is None
        first.process.send_signal(signal.SIGTERM)
        assert first.wait(20)[0] == 143
        first.assert_sealed()


def test_f25_two_publishers_never_share_an_endpoint():
    with rendezvous() as ends, Publisher(Link(ends.frames)):
        with pytest.raises(WireError, match=rf"F25.*process {os.getpid()} has it"):
            Publisher(Link(ends.frames))
        with rendezvous() as others:
            assert others.frames != ends.frames


def test_f25_a_lock_goes_with_its_holder_however_it_ends(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_session_whose_worker_never_comes_up_is_sealed_and_says_why(tmp_path, capsys):
    with LiveSession(tmp_path / "s", save_tiny(tmp_path), engine="raises") as live:
        live.until_banner("AI OFF", 30)
        live.stop()
        ledger = dict(live.rows("SELECT * FROM ledger"))
        grabbed = live.ring.next_seq
    assert balances(ledger) and ledger["grabbed"] == grabbed > 0
    assert ledger["transport_gap"] == grabbed - ledger["capture_drop"]
    status = close_session(live.folder, live.ending, grabbed, report=True, json=False)
    assert status == 5
    line = " ".join(capsys.readouterr().err.split())
    assert line.startswith("error live: no frame was analysed: worker: ")
    assert "raises" in line or "status 1" in line
    assert f"journal and log are in {live.folder}" in line


def test_f37_a_report_that_cannot_be_written_ends_with_6_and_leaves_no_truncated_file(tmp_path):
    with LiveCommand(tmp_path, save_tiny(tmp_path), "--no-report") as command:
        command.wait_running()
        command.process.send_signal(signal.SIGTERM)
        command.wait(20)
        command.assert_sealed()
    sealed = read_manifest(command.folder)
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli", "report", str(command.folder)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000,) * 2),
    )
    assert done.returncode == StorageError.exit_code and "[F37]" in done.stderr
    written = list((command.folder / "report").iterdir())
    assert "index.html" not in {path.name for path in written}
    assert all(path.stat().st_size < 20_000 and path.suffix != ".part" for path in written)
    assert read_manifest(command.folder) == sealed


def test_f39_a_line_that_repeats_is_printed_once_then_counted_each_10_s():
    clock_ns, lines = [0], []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    handler.addFilter(Quiet(lambda: clock_ns[0]))
    log = logging.Logger("source")
    log.addHandler(handler)
    for frame in range(750):  # 25 s at 30 frames a second
        clock_ns[0] = frame * 1_000_000_000 // 30
        log.warning("frame %d: picture is damaged", frame)
        if frame == 10:
            log.warning("something else")
    assert lines == [
        "frame 0: picture is damaged",
        "something else",
        "frame 300: picture is damaged (and 299 times more before)",
        "frame 600: picture is damaged (and 299 times more before)",
    ]
