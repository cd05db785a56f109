"""Facts about verify: which engine it opens again, and what it says when it cannot."""

import msgspec
import pytest

from engines.build import attach_verdict, build_engine
from engines.cache import ENGINE, open_cache
from engines.choose import Wanted, choose_engine
from engines.errors import EngineError
from engines.load import load_model
from engines.options import EngineOptions
from engines.sidecar import Speed, Verdict
from stream.config import AnalysisConfig
from stream.job import Job, model_used
from stream.replay import replay_clip
from stream.session.manifest import read_manifest, write_manifest
from stream.verify import verify_session
from tests.clips import write_clip
from tests.tiny_model import save_tiny


@pytest.fixture
def path(tmp_path):
    return save_tiny(tmp_path)


@pytest.fixture
def small(tmp_path):
    """A model in int8, which opens only when it is accepted or forced."""
    (tmp_path / "int8").mkdir()
    return save_tiny(tmp_path / "int8", precision="int8", reference_digest="a" * 64)


@pytest.fixture
def cache(tmp_path):
    return open_cache(tmp_path / "engines")


@pytest.fixture
def clip(tmp_path):
    return str(write_clip(tmp_path / "clip.mp4", 12))


def record(clip, path, cache, out, wanted):
    """Replay a clip with the engine that is wanted; return the session's folder."""
    model = load_model(path)
    chosen = choose_engine(model, cache, wanted, print)
    job = Job(chosen.engine, model_used(chosen, model, path), AnalysisConfig())
    folder = replay_clip(clip, job, out, lambda source: None).folder
    chosen.engine.close()
    return folder


def accept(cache, path, options, missed=()):
    """Store an OpenVINO engine of the model with a verdict of our own making."""
    model = load_model(path)
    built = build_engine(model, "openvino", options, cache, print)
    built.engine.close()
    verdict = Verdict(
        accepted=not missed,
        reference_digest=model.digest,
        frames=100,
        frames_digest="b" * 64,
        frames_from="a test",
        figures={},
        missed=tuple(missed),
    )
    speed = Speed(p50_ms=1.0, p99_ms=2.0, rate_hz=100.0, over_default=1.5)
    return attach_verdict(built.entry, verdict, speed)


def test_a_default_session_stands_after_an_engine_of_its_kind_was_accepted(
    clip, path, cache, tmp_path
):
    folder = record(clip, path, cache, tmp_path / "out", Wanted("openvino"))
    accept(cache, path, EngineOptions(mode="latency"))
    assert verify_session(folder, cache.folder) == []


def test_a_forced_session_stands_after_its_engine_was_accepted(clip, small, cache, tmp_path):
    folder = record(clip, small, cache, tmp_path / "out", Wanted("openvino", force=True))
    assert read_manifest(folder).model.engine.standing == "forced"
    accept(cache, small, EngineOptions("int8"))
    assert verify_session(folder, cache.folder) == []


def test_a_forced_session_whose_manifest_hides_it_does_not_stand(clip, small, cache, tmp_path):
    accept(cache, small, EngineOptions("int8"), missed=["top-1 agreement 0.2, wanted 0.99"])
    folder = record(clip, small, cache, tmp_path / "out", Wanted("openvino", force=True))
    manifest = read_manifest(folder)
    hidden = msgspec.structs.replace(manifest.model.engine, standing="accepted", missed=())
    model = msgspec.structs.replace(manifest.model, engine=hidden)
    write_manifest(folder, msgspec.structs.replace(manifest, model=model))
    with pytest.raises(EngineError, match="the gate rejected it"):
        verify_session(folder, cache.folder)


def test_m06_verify_says_why_the_engine_of_a_session_cannot_be_used(
    clip, path, cache, tmp_path, capsys
):
    entry = accept(cache, path, EngineOptions(mode="latency"))
    folder = record(clip, path, cache, tmp_path / "out", Wanted("openvino"))
    assert read_manifest(folder).model.engine.standing == "accepted"
    (entry.place / ENGINE).write_bytes(b"damaged")
    findings = verify_session(folder, cache.folder)
    assert "was changed or cut" in capsys.readouterr().err
    assert findings == []  # the default of the same kind gives the same answers


def test_f07_verify_says_that_a_session_was_withdrawn_and_not_interrupted(
    clip, path, cache, tmp_path
):
    folder = record(clip, path, cache, tmp_path / "out", Wanted("openvino"))
    manifest = read_manifest(folder)
    problems = ("[F07] the probe failed; 4 answers since the last good probe withdrawn",)
    ended = msgspec.structs.replace(manifest, complete=False, problems=problems)
    write_manifest(folder, ended)
    assert verify_session(folder) == [f"the session is not complete: {problems[0]}"]
