"""The cache gives back what was stored, or nothing."""

import os
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from engines.base import run_frames
from engines.build import attach_verdict, build_engine, engine_key, measure_speed
from engines.cache import (
    ENGINE,
    FILES,
    MODEL,
    SIDECAR,
    Cache,
    list_entries,
    open_cache,
    read_entry,
    write_entry,
)
from engines.errors import EngineError
from engines.load import load_model
from engines.open import load_backend
from engines.options import Batch, EngineOptions
from engines.sidecar import Figure, Speed, Verdict
from tests.tiny_model import save_tiny

NAME = "openvino"
OPTIONS = EngineOptions()
VERDICT = Verdict(
    accepted=True,
    reference_digest="a" * 64,
    frames=100,
    frames_digest="b" * 64,
    frames_from="a test",
    figures={"top1": Figure(0.995, 0.99, 1.0)},
)
SPEED = Speed(p50_ms=1.0, p99_ms=2.0, rate_hz=900.0, over_default=1.8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(save_tiny(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def stored(model, tmp_path_factory):
    """A cache with one entry, for reading only."""
    cache = open_cache(tmp_path_factory.mktemp("cache"))
    built = build_engine(model, NAME, OPTIONS, cache, print)
    built.engine.close()
    return cache, built.entry


@pytest.fixture
def copied(stored, tmp_path):
    """The same entry in a cache of its own, to be spoilt."""
    shutil.copytree(stored[1].place, tmp_path / stored[1].place.name)
    return Cache(tmp_path), replace(stored[1], place=tmp_path / stored[1].place.name)


def build(model, cache):
    """Build again; return whether it came from the cache and the lines that were said."""
    said = []
    built = build_engine(model, NAME, OPTIONS, cache, said.append)
    built.engine.close()
    return built.cached, said


def test_the_stored_engine_gives_the_answers_of_the_compiled_one(model, stored):
    frames = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    fresh = load_backend(NAME).load_engine(model, OPTIONS, None)
    built = build_engine(model, NAME, OPTIONS, stored[0], print)
    assert built.cached
    assert np.array_equal(run_frames(built.engine, frames).cam, run_frames(fresh, frames).cam)
    built.engine.close()
    fresh.close()


def test_m06_none_of_1000_flipped_bytes_is_loaded(copied):
    cache, entry = copied
    rng = random.Random(4)
    files = {name: (entry.place / name).read_bytes() for name in sorted(FILES)}
    places = [(name, at) for name, data in files.items() for at in range(len(data))]
    spoilt = rng.sample(places, 1000)
    assert {name for name, _ in spoilt} == FILES
    handles = {name: os.open(entry.place / name, os.O_WRONLY) for name in FILES}
    for name, at in spoilt:
        right = files[name][at]
        os.pwrite(handles[name], bytes([right ^ rng.randrange(1, 256)]), at)
        with pytest.raises(EngineError, match=r"\[M06\]"):
            read_entry(cache, entry.sidecar.key)
        os.pwrite(handles[name], bytes([right]), at)
    for handle in handles.values():
        os.close(handle)
    assert read_entry(cache, entry.sidecar.key).engine == files[ENGINE]


@pytest.mark.parametrize("name", sorted(FILES))
def test_m06_every_changed_byte_of_the_last_ten_is_seen(copied, name):
    cache, entry = copied
    data = (entry.place / name).read_bytes()
    for at in range(len(data) - 10, len(data)):
        (entry.place / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(EngineError, match=r"\[M06\]"):
            read_entry(cache, entry.sidecar.key)


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("spoil", ["cut", "longer", "absent", "link"])
def test_m06_a_spoilt_file_is_compiled_again_with_a_line_that_says_so(model, copied, name, spoil):
    cache, entry = copied
    path = entry.place / name
    data = path.read_bytes()
    path.unlink()
    if spoil == "link":
        (cache.folder / ".elsewhere").write_bytes(data)
        path.symlink_to(cache.folder / ".elsewhere")
    elif spoil != "absent":
        path.write_bytes(data[:-1] if spoil == "cut" else data + b"\n")
    cached, said = build(model, cache)
    assert not cached
    assert [line for line in said if line.startswith("[M06]")] == said != []
    assert build(model, cache) == (True, [])


def test_m06_a_file_that_does_not_belong_is_refused(copied):
    cache, entry = copied
    (entry.place / "weights.bin").write_bytes(b"")
    with pytest.raises(EngineError, match=r"\[M06\].*weights.bin"):
        read_entry(cache, entry.sidecar.key)


@pytest.mark.parametrize(
    "change",
    [
        {"device": "another processor"},
        {"backend_version": "2026.9.9"},
        {"driver": "600.1"},
        {"model_digest": "c" * 64},
        {"precision": "bf16"},
        {"batch": Batch(1, 1, 2)},
        {"threads": 64},
        {"extras": ("version_compatible",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_m06_an_entry_renamed_to_another_key_is_refused_and_the_field_named(copied, change):
    cache, entry = copied
    wanted = msgspec.structs.replace(entry.sidecar.key, **change)
    assert read_entry(cache, wanted) is None
    entry.place.rename(cache.folder / wanted.name)
    with pytest.raises(EngineError, match=rf"\[M06\].*{next(iter(change))} is"):
        read_entry(cache, wanted)


def test_m06_a_model_in_the_place_of_another_is_refused(copied, model, tmp_path):
    cache, entry = copied
    other = load_model(save_tiny(tmp_path, temperature=3.0))
    contents = read_entry(cache, entry.sidecar.key)
    write_entry(cache, entry.sidecar.key, other, contents.engine, contents.probe)
    with pytest.raises(EngineError, match=rf"\[M06\].*{MODEL} is another model"):
        read_entry(cache, entry.sidecar.key)


def test_f07_an_entry_that_no_longer_gives_its_known_answers_is_compiled_again(
    copied, model, tmp_path
):
    cache, entry = copied
    other = load_model(save_tiny(tmp_path, temperature=3.0))
    blob = load_backend(NAME).compile_engine(other, OPTIONS, print)
    write_entry(cache, entry.sidecar.key, model, blob, read_entry(*_where(copied)).probe)
    cached, said = build(model, cache)
    assert not cached
    assert "[F07]" in said[0]


def test_m06_an_engine_that_the_runtime_refuses_is_compiled_again(copied, model):
    cache, entry = copied
    probe = read_entry(*_where(copied)).probe
    write_entry(cache, entry.sidecar.key, model, b"no export", probe)
    cached, said = build(model, cache)
    assert not cached
    assert said[0].startswith("[M06]")


def _where(copied):
    return copied[0], copied[1].sidecar.key


def test_the_verdict_is_written_into_the_sidecar_alone(copied):
    cache, entry = copied
    before = (entry.place / ENGINE).stat().st_mtime_ns
    judged = attach_verdict(entry, VERDICT, SPEED)
    assert read_entry(cache, entry.sidecar.key).entry == judged
    assert (judged.sidecar.verdict, judged.sidecar.speed) == (VERDICT, SPEED)
    assert (entry.place / ENGINE).stat().st_mtime_ns == before


def test_a_verdict_is_not_given_to_an_engine_made_meanwhile(copied, model):
    cache, entry = copied
    write_entry(cache, entry.sidecar.key, model, b"another", b"probe")
    with pytest.raises(EngineError, match=r"\[M06\].*made again meanwhile"):
        attach_verdict(entry, VERDICT, None)


def test_an_engine_compiled_again_has_no_verdict(copied, model):
    cache, entry = copied
    attach_verdict(entry, VERDICT, SPEED)
    (entry.place / ENGINE).write_bytes(b"")
    build(model, cache)
    assert read_entry(cache, entry.sidecar.key).entry.sidecar.verdict is None


def test_an_entry_is_written_whole_or_not_at_all(stored, model, tmp_path, monkeypatch):
    key = stored[1].sidecar.key
    cache = open_cache(tmp_path / "cache")

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(EngineError, match="cannot be stored: No space left"):
        write_entry(cache, key, model, b"engine", b"probe")
    assert list(cache.folder.iterdir()) == []


def test_entries_are_listed_by_name_and_spoilt_ones_as_errors(copied, model):
    cache, entry = copied
    keys = [msgspec.structs.replace(entry.sidecar.key, threads=n) for n in (1002, 1003)]
    for key in keys:
        write_entry(cache, key, model, b"engine", b"probe")
    (cache.folder / keys[0].name / SIDECAR).write_bytes(b"{}")
    listed = list(list_entries(cache))
    assert [one.place.name for one in listed if not isinstance(one, EngineError)] == sorted(
        [entry.place.name, keys[1].name]
    )
    assert [one.fault for one in listed if isinstance(one, EngineError)] == ["M06"]


def test_writers_of_one_entry_do_not_disturb_each_other(stored, model, tmp_path):
    key = stored[1].sidecar.key
    cache = open_cache(tmp_path / "cache")
    names = [b"engine %d" % number for number in range(24)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda data: write_entry(cache, key, model, data, b"probe"), names))
    assert read_entry(cache, key).engine in names
    assert [place.name for place in cache.folder.iterdir()] == [key.name]


def test_the_key_holds_the_threads_of_a_cpu_engine_and_none_of_a_gpu_engine(model, stored):
    identity = load_backend(NAME).identify(OPTIONS)
    options = EngineOptions(threads=3, version_compatible=True, workspace_mib=64)
    assert engine_key(model, "openvino", options, identity).threads == 3
    key = engine_key(model, "tensorrt", options, identity)
    assert (key.threads, key.extras) == (0, ("workspace_mib=64", "version_compatible"))


def test_an_engine_is_measured_beside_the_default(model):
    engine = load_backend(NAME).load_engine(model, EngineOptions(batch=Batch(1, 4, 4)), None)
    default = load_backend("onnxruntime").load_engine(model, OPTIONS, None)
    speed = measure_speed(engine, default, best=4, round_s=0.0)
    engine.close()
    default.close()
    assert 0 < speed.p50_ms <= speed.p99_ms
    assert min(speed.rate_hz, speed.over_default) > 0


class Instant:
    """An engine that answers at once and takes as long as its clock says, by batch."""

    depth = 1

    def __init__(self, model, clock, spent_ns):
        self.model, self.clock, self.spent_ns = model, clock, spent_ns

    def submit(self, frames):
        self.clock[0] += self.spent_ns[len(frames)]
        return self

    def result(self):
        return None


def test_rate_over_the_default_is_that_of_single_frames_as_sessions_run_them(model, monkeypatch):
    clock = [0]
    for name in ("monotonic_ns", "perf_counter_ns"):
        monkeypatch.setattr(f"time.{name}", lambda: clock[0])
    padding = Instant(model, clock, {1: 80, 8: 80})  # a run of 8 costs the same however full
    speed = measure_speed(padding, Instant(model, clock, {1: 20}), best=8, round_s=1e-6)
    assert speed.rate_hz == pytest.approx(8 / 80e-9)
    assert speed.over_default == pytest.approx(20 / 80)
