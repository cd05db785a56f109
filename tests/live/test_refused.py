"""Models and engines that `stream live` refuses, and the engine that it names: F40, M07, M08."""

import re
import subprocess
import sys

import pytest

from stream.clock import now_ns
from tests.live_session import LiveSession
from tests.tiny_model import build_tiny, save_tiny

pytestmark = pytest.mark.timeout(120)


def run_live(folder, *arguments):
    """Run `stream live`; return its status, the lines that name an error, and what it left."""
    out = folder / "sessions"
    command = [sys.executable, "-m", "stream.cli", "live", "phantom:kidney", "--no-window"]
    command += ["--seconds", "20", "--out", str(out), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    return done.returncode, errors, list(out.iterdir())


def test_f40_without_a_gpu_live_refuses_where_one_is_required(tmp_path):
    status, errors, left = run_live(tmp_path, "--model", save_tiny(tmp_path), "--require-gpu")
    assert (status, len(errors), left) == (5, 1, [])
    assert errors[0].startswith("error[F40] engine auto on a GPU: not available here")


def test_m07_a_model_whose_labels_differ_from_its_outputs_ends_live_at_its_start(tmp_path):
    model = save_tiny(tmp_path, classes=("blue", "red", "green"), cam_scale=(1.0, 1.0, 1.0))
    status, errors, left = run_live(tmp_path, "--model", model)
    assert (status, len(errors), left) == (5, 1, [])
    assert errors[0].startswith("error[M07] tiny.onnx") and "3" in errors[0] and "2" in errors[0]


def test_m08_a_file_that_is_replaced_changes_neither_the_worker_nor_the_next_one(tmp_path):
    model = save_tiny(tmp_path)
    genuine = model.read_bytes()
    real = {"source": "phantom:kidney", "engine": "auto", "module": "stream.live.supervisor.child"}
    with LiveSession(tmp_path / "session", model, loop=True, **real) as session:
        session.until_current()
        check_engine_named(session)
        save_tiny(tmp_path, build_tiny(threshold=0.4))
        number = session.seen_results[-1].number + 20
        session.until(lambda view: view.current and session.seen_results[-1].number > number)
        session.kill("worker")
        session.until_banner("AI OFF", 40)
        cause = session.status.roles["worker"].cause
        assert re.search(r"error\[M08\] tiny\.onnx: sha256 \w{16}, .* began with \w{16};", cause)
        model.write_bytes(genuine)
        session.order("reset")
        session.until_current()
        session.stop()
        session.ledger()
    digests = {result.model_digest for result in session.seen_results}
    assert digests == {session.manifest.model.digest}


def check_engine_named(session):
    """Check F40: the screen names the engine and the rate that it was measured to have."""
    session.until(lambda view: len(session.seen_results) > 40)
    rows = dict(session.viewing.scene(now_ns()).hud)
    assert rows["engine"] in ("openvino fp32", "onnxruntime fp32")
    assert float(rows["inference"].removesuffix(" fps")) > 5
