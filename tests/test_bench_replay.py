"""Facts about the replay benchmark: its limits and figures by hand, its clips and models."""

import av
import numpy as np
import pytest

from benchmarks import bench_replay, replay_race
from benchmarks.bench_replay import RATIOS
from benchmarks.budgets import read_budgets
from benchmarks.engine_turns import draw_noise
from benchmarks.memory import make_long_clip
from benchmarks.plan import Plan
from benchmarks.replay_child import Replayed
from benchmarks.replay_floor import LOOPS
from benchmarks.replay_race import Lap, our_loop, race
from benchmarks.wide_model import make_wide
from engines.ort import open_graph
from stream.replay_command import DEMO_CLIP
from tests.clips import write_clip
from tests.jobs import open_job
from tests.tiny_model import save_tiny

COSTS_S = {"decode": 0.001, "preprocess": 0.001, "engine": 0.002, "copy": 0.0001}


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(replay_race.os, "sched_getaffinity", lambda _pid: {0, 1})


def test_limit_is_the_cores_over_the_cost_of_three_stages(two_cores):
    limits = Lap({}, {}, COSTS_S).limits_hz()
    assert limits["limit"] == pytest.approx(2 / 0.004)  # copying is no part of it
    assert limits["engine only"] == pytest.approx(1000)
    assert limits["copy only"] == pytest.approx(20_000)


def test_overhead_is_what_the_stages_leave_of_the_whole(two_cores):
    laps = [Lap({}, {"sonostream": cpu_s}, COSTS_S) for cpu_s in (0.005, 0.006)]
    figures = {row.name: row.values for row in bench_replay._figures(laps)}
    assert figures["cpu_ms_overhead"] == pytest.approx((1.0, 2.0))
    assert figures["cpu_ms_decode_and_preprocess"] == pytest.approx((2.0, 2.0))


def test_memory_counts_decoders_and_leaves_the_engine_out():
    replayed = {
        seconds: Replayed(100.0, peak_mib=peak, engine_mib=200.0, decoder_mib=50.0)
        for seconds, peak in ((8, 240.0), (64, 250.0), (600, 262.0))
    }
    figures = {row.name: row.values for row in bench_replay._memory(replayed)}
    assert figures == {"peak_over_engine_mib": (112.0,), "growth_mib": (12.0,)}


def test_ratios_that_were_not_measured_have_a_reason():
    rows = dict.fromkeys(("sonostream", "eager", "onnxruntime", "openvino_queue", "limit"))
    skipped = {skip.row for skip in bench_replay._skipped(rows, Plan(memory=False))}
    assert skipped == {
        *(name for name in RATIOS if name.startswith("fast_")),
        "peak_over_engine_mib",
        "growth_mib",
    }


def test_every_budget_is_of_something_that_is_measured():
    bounds = read_budgets()["replay"]
    figures = {"growth_mib", "peak_over_engine_mib", "cpu_ms_overhead"}
    known = {*RATIOS, *figures, "cpu_ms_decode_and_preprocess"}
    assert {*bounds.at_least, *bounds.at_most} <= known


def test_loops_take_turns_and_every_stage_is_timed_in_every_round(tmp_path):
    job, log = open_job(save_tiny(tmp_path), tmp_path / "cache"), []
    ours = our_loop(job)

    def other(clips):
        log.extend(clips)
        return 5

    clip = str(write_clip(tmp_path / "clip.mp4", 5))
    laps = race({"sonostream": ours, "other": other}, job.engine, [clip], 2)
    assert log == [str(DEMO_CLIP), clip, clip] and ours([clip, clip]) == 10
    assert [set(lap.costs_s) for lap in laps] == [set(COSTS_S)] * 2
    assert all(lap.rates_hz["sonostream"] > 0 and lap.cpu_s["sonostream"] > 0 for lap in laps)
    job.engine.close()


def test_wide_model_answers_for_every_class(tmp_path):
    answer = open_graph(make_wide(10, tmp_path).data)({"frames": draw_noise((224, 224), 1)})
    assert answer["cam"].shape[:2] == answer["probs"].shape == (1, 10)
    assert np.allclose(answer["probs"].sum(), 1)


def test_long_clip_repeats_the_frames_with_times_that_go_on(tmp_path):
    with av.open(str(make_long_clip(tmp_path, 16))) as container:
        times = sorted(p.pts for p in container.demux(video=0) if p.pts is not None)
    assert len(times) == len(set(times)) == 400
    assert len(set(np.diff(times))) == 1


def test_every_loop_of_the_floor_sees_every_frame(tmp_path):
    clip = str(write_clip(tmp_path / "clip.mp4", 20))
    job = open_job(save_tiny(tmp_path), tmp_path / "cache")
    try:
        assert [loop(job, clip) for loop in LOOPS] == [20] * 4
    finally:
        job.engine.close()
