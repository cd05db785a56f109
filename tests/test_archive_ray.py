"""Facts about the archive on Ray: a real cluster of two nodes on loopback."""

import random
import signal
import subprocess
import sys

import psutil
import pytest

from tests.archive_runs import (
    LIMIT_S,
    ROOT,
    copy,
    first_unlike,
    kill,
    plant,
    run,
    sessions,
    start,
    until,
)
from tests.ray_cluster import LOOPBACK
from tests.tiny_model import save_tiny

pytest.importorskip("ray", reason="Ray is not installed; the extra `cluster` has it")
pytestmark = pytest.mark.slow
CLUSTER_LIMIT_S = 90
SHARED = ROOT.parent / "shared/data"


@pytest.fixture(scope="module")
def cluster():
    """Yield the address of the cluster and its process; see it gone afterwards."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.ray_cluster"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        address = process.stdout.readline().strip()
        tree = psutil.Process(process.pid).children(recursive=True)
        yield address, process
        process.stdin.close()
        process.wait(CLUSTER_LIMIT_S)
    assert psutil.wait_procs(tree, timeout=10)[1] == []


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with the tree `in` and an archive of it made by processes."""
    folder = tmp_path_factory.mktemp("ray")
    plant(folder / "in", clips=12)
    save_tiny(folder)
    assert run(folder / "in", folder / "out", folder / "tiny.onnx")[0] == 4
    return folder


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    for name, value in LOOPBACK.items():
        monkeypatch.setenv(name, value)


def actors(process):
    """Return the processes of a cluster that hold our workers."""
    tree = psutil.Process(process.pid).children(recursive=True)
    return [one for one in tree if one.is_running() and "RayWorker" in one.name()]


def test_two_nodes_give_the_same_table_and_sessions_as_processes(cluster, place, tmp_path):
    address, process = cluster
    with start(place / "in", tmp_path / "out", place / "tiny.onnx", "--ray", address) as archive:
        until(lambda: len(actors(process)) == 2, archive)
        said = "".join(archive.communicate(timeout=LIMIT_S))
    assert archive.returncode == 4, said
    assert first_unlike(place / "out", tmp_path / "out") is None


def test_the_cluster_listens_on_loopback_alone(cluster):
    tree = [cluster[1].pid, *(one.pid for one in psutil.Process(cluster[1].pid).children(True))]
    ends = [end for end in psutil.net_connections("inet") if end.pid in tree and not end.raddr]
    assert ends and {end.laddr.ip for end in ends} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def test_f30_killed_twice_at_random_it_ends_with_the_same_table(cluster, place, tmp_path):
    address, process = cluster
    moments, out = random.Random(5), tmp_path / "out"
    kept = {}
    for _ in range(2):
        more = len(kept) + moments.randint(1, 3)
        with start(place / "in", out, place / "tiny.onnx", "--ray", address) as archive:
            until(lambda more=more: actors(process) and len(sessions(out)) >= more, archive)
            kill(archive)
        assert archive.returncode == -signal.SIGKILL
        assert kept.items() <= stamps(out).items()
        kept = stamps(out)
    run(place / "in", out, place / "tiny.onnx", "--ray", address)
    assert first_unlike(place / "out", out) is None
    assert kept.items() <= stamps(out).items()


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Return a folder with every real clip and DICOM file, and an archive that nobody disturbed."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data is absent")
    folder = tmp_path_factory.mktemp("real")
    for name in ("clips", "dicom", "pocus_lung/videos"):
        copy(SHARED / name, folder / "in" / name)
    save_tiny(folder)
    command = (folder / "in", folder / "calm", folder / "tiny.onnx", "--no-report")
    status, said = run(*command, "--workers", "1")
    assert status == 0, said
    return folder


@pytest.mark.parametrize("on", ["processes", "ray"])
def test_f30_all_real_clips_killed_twice_end_with_the_undisturbed_table(cluster, real, on):
    out, flags = real / on, ("--ray", cluster[0]) if on == "ray" else ()
    command = (real / "in", out, real / "tiny.onnx", "--no-report", *flags)
    for wanted in (3, 8):
        with start(*command) as archive:
            until(lambda wanted=wanted: len(sessions(out)) >= wanted, archive)
            kill(archive)
        assert len(sessions(out)) < len(sessions(real / "calm")), "it was killed on the way"
    kept = stamps(out)
    status, said = run(*command)
    assert status == 0, said
    assert first_unlike(real / "calm", out) is None
    assert kept.items() <= stamps(out).items()


def test_f33_a_killed_actor_costs_nothing_but_its_time(cluster, place, tmp_path):
    address, process = cluster
    out = tmp_path / "out"
    with start(place / "in", out, place / "tiny.onnx", "--ray", address) as archive:
        until(lambda: sessions(out), archive)
        actors(process)[0].kill()
        said = "".join(archive.communicate(timeout=LIMIT_S))
    assert archive.returncode == 4, said
    assert first_unlike(place / "out", out) is None


def test_m08_a_worker_that_cannot_begin_says_why_over_ray(cluster, place, tmp_path):
    pool_program = (
        "import sys, msgspec\n"
        "from pathlib import Path\n"
        "from tests.archive_plans import make_plan\n"
        "from stream.archive.ray_pool import RayPool\n"
        "plan = make_plan(Path(sys.argv[2]))\n"
        "wrong = msgspec.structs.replace(plan.answering, model_digest='0' * 64)\n"
        "setup = msgspec.structs.replace(plan.setup(), answering=wrong)\n"
        "with RayPool(setup, 1, 1, sys.argv[1]) as pool:\n"
        "    print([type(pool.wait().said).__name__ for _ in range(2)])\n"
    )
    command = [sys.executable, "-c", pool_program, cluster[0], str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=LIMIT_S)
    assert done.stdout.strip().endswith("['Refused', 'Lost']"), done.stderr


def test_a_cluster_that_is_not_there_is_told_at_once(place, tmp_path):
    for address in ("127.0.0.1:9", "nowhere", "ray://127.0.0.1:9"):
        status, said = run(place / "in", tmp_path / "out", place / "tiny.onnx", "--ray", address)
        assert status == 2 and "no Ray cluster there" in said


def stamps(out):
    return {folder.name: folder.stat().st_ctime_ns for folder in sessions(out)}
