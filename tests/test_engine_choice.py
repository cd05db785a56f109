"""Which engine a session gets, and why."""

import msgspec
import pytest

from engines import choose
from engines.base import run_frames
from engines.build import attach_verdict, build_engine
from engines.cache import ENGINE, SIDECAR, open_cache, read_entry, write_entry
from engines.choose import Wanted, choose_engine
from engines.errors import EngineError
from engines.load import load_model
from engines.open import load_backend, open_engine
from engines.options import Batch, EngineOptions
from engines.sidecar import Speed, Verdict
from tests.tiny_model import save_tiny

ORT = EngineOptions()
BATCHED = EngineOptions(batch=Batch(1, 2, 4))
INT8 = EngineOptions(precision="int8")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(save_tiny(tmp_path_factory.mktemp("fp32")))


@pytest.fixture(scope="module")
def small(model, tmp_path_factory):
    """A model in int8 by its spec, made from `model`; colder, so that its answers differ."""
    folder = tmp_path_factory.mktemp("int8")
    changes = {"precision": "int8", "reference_digest": model.digest, "temperature": 1.5}
    return load_model(save_tiny(folder, **changes))


@pytest.fixture
def cache(tmp_path):
    return open_cache(tmp_path / "cache")


def store(cache, model, name, options, *, over=1.5, missed=(), reference=None):
    """Compile an engine with a verdict and a speed of our own making; return its entry."""
    built = build_engine(model, name, options, cache, print)
    built.engine.close()
    verdict = Verdict(
        accepted=not missed,
        reference_digest=reference or model.digest,
        frames=100,
        frames_digest="b" * 64,
        frames_from="a test",
        figures={},
        missed=tuple(missed),
    )
    speed = Speed(p50_ms=1.0, p99_ms=2.0, rate_hz=100.0, over_default=over)
    return attach_verdict(built.entry, verdict, speed)


def pick(model, cache, **want):
    """Choose; return backend, precision, batch, standing, reason and the lines that were said."""
    said = []
    chosen = choose_engine(model, cache, Wanted(**want), said.append)
    info, most = chosen.engine.info, chosen.engine.max_batch
    chosen.probe.check(chosen.engine)
    chosen.engine.close()
    return (info.name, info.precision, most, chosen.standing), chosen.reason, said


def test_without_accepted_engines_openvino_fp32_checked_against_the_reference(model, cache):
    got, reason, said = pick(model, cache)
    assert got == ("openvino", "fp32", 1, "default")
    assert "of ONNX Runtime on 4 probe frames; no faster accepted engine can be used here" in reason
    assert said == []
    assert not cache.folder.exists()


def test_the_fastest_accepted_engine_is_taken(model, cache):
    store(cache, model, "onnxruntime", ORT, over=1.2)
    store(cache, model, "onnxruntime", BATCHED, over=1.9)
    got, reason, _ = pick(model, cache)
    assert got == ("onnxruntime", "fp32", 4, "accepted")
    assert reason == (
        "onnxruntime fp32, accepted on 100 held-out frames, 1.90 times the rate of the default"
    )


def test_an_accepted_engine_no_faster_than_the_default_is_not_taken(model, cache):
    store(cache, model, "onnxruntime", ORT, over=1.0)
    assert pick(model, cache)[0] == ("openvino", "fp32", 1, "default")


def test_a_rejected_engine_is_not_taken_however_fast(model, cache):
    store(cache, model, "onnxruntime", ORT, over=9.0, missed=["top-1 agreement 0.2, wanted 0.99"])
    assert pick(model, cache)[0] == ("openvino", "fp32", 1, "default")


def test_an_engine_that_the_gate_has_not_seen_is_not_taken(model, cache):
    build_engine(model, "onnxruntime", ORT, cache, print).engine.close()
    assert pick(model, cache)[0] == ("openvino", "fp32", 1, "default")


def test_the_int8_engine_made_from_a_model_stands_in_for_it(model, small, cache):
    store(cache, small, "openvino", INT8, reference=model.digest)
    chosen = choose_engine(model, cache, Wanted(), print)
    assert chosen.engine.model.digest == small.digest
    assert (chosen.engine.info.precision, chosen.standing) == ("int8", "accepted")
    chosen.engine.close()


def test_an_engine_of_an_unrelated_model_is_not_taken(model, cache, tmp_path):
    other = load_model(save_tiny(tmp_path, temperature=4.0))
    store(cache, other, "onnxruntime", ORT)
    assert pick(model, cache)[0] == ("openvino", "fp32", 1, "default")


def test_the_same_cache_gives_the_same_choice_when_rates_are_equal(model, cache):
    entries = [store(cache, model, "onnxruntime", options) for options in (ORT, BATCHED)]
    first = min(entries, key=lambda entry: entry.place.name)
    for _ in range(3):
        assert pick(model, cache)[0][2] == first.sidecar.key.batch.most


def test_m06_a_damaged_better_engine_gets_a_line_and_the_next_is_taken(model, cache):
    best = store(cache, model, "onnxruntime", BATCHED, over=1.9)
    store(cache, model, "onnxruntime", ORT, over=1.2)
    (best.place / ENGINE).write_bytes(b"damaged")
    got, _, said = pick(model, cache)
    assert got == ("onnxruntime", "fp32", 1, "accepted")
    assert len(said) == 1
    assert "was accepted but cannot be used: error[M06]" in said[0]


def test_m06_a_damaged_sidecar_gets_a_line_and_the_default_is_taken(model, cache):
    best = store(cache, model, "onnxruntime", ORT)
    (best.place / SIDECAR).write_bytes(b"{}")
    got, _, said = pick(model, cache)
    assert got[3] == "default"
    assert len(said) == 1
    assert "error[M06]" in said[0]


def test_f07_an_accepted_engine_that_answers_wrongly_gets_a_line_and_the_default_is_taken(
    model, cache, tmp_path
):
    entry = store(cache, model, "onnxruntime", ORT)
    hotter = load_model(save_tiny(tmp_path, temperature=3.0))
    wrong = load_backend("onnxruntime").compile_engine(hotter, ORT, print)
    probe = read_entry(cache, entry.sidecar.key).probe
    swapped = write_entry(cache, entry.sidecar.key, model, wrong, probe)
    attach_verdict(swapped, entry.sidecar.verdict, entry.sidecar.speed)
    got, _, said = pick(model, cache)
    assert got[3] == "default"
    assert "was accepted but cannot be used: error[F07]" in said[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backend_version": "0.1"}, "made for 0.1 on"),
        ({"device": "another processor"}, "on another processor, here is"),
        ({"driver": "600.1"}, "600.1, here is"),
        ({"threads": 4096}, "made for 4096 cores"),
    ],
)
def test_m06_an_engine_made_elsewhere_gets_a_line_and_the_default_is_taken(
    model, cache, change, words
):
    entry = store(cache, model, "onnxruntime", ORT)
    key = msgspec.structs.replace(entry.sidecar.key, **change)
    contents = read_entry(cache, entry.sidecar.key)
    foreign = write_entry(cache, key, model, contents.engine, contents.probe)
    attach_verdict(foreign, entry.sidecar.verdict, msgspec.structs.replace(SLOW, over_default=3.0))
    attach_verdict(entry, entry.sidecar.verdict, SLOW)
    got, _, said = pick(model, cache)
    assert got[3] == "default"
    assert len(said) == 1
    assert words in said[0]


SLOW = Speed(p50_ms=1.0, p99_ms=2.0, rate_hz=100.0, over_default=0.5)


def test_a_named_engine_opens_as_default_in_fp32(model, cache):
    got, reason, _ = pick(model, cache, engine="onnxruntime")
    assert got == ("onnxruntime", "fp32", 1, "default")
    assert "the reference itself" in reason


def test_a_named_precision_that_was_never_compiled_is_refused_with_the_command(model, cache):
    with pytest.raises(EngineError, match=r"stream compile tiny.onnx --engine openvino") as error:
        choose_engine(model, cache, Wanted("openvino", "bf16"), print)
    assert error.value.exit_code == 5
    assert "--precision bf16" in str(error.value)


def test_int8_of_a_float_model_is_refused_with_calibrate_and_not_with_a_vain_command(model, cache):
    with pytest.raises(EngineError, match=r"make an int8 model of it with `stream calibrate`"):
        choose_engine(model, cache, Wanted(precision="int8"), print)


def test_fp32_of_an_int8_model_is_refused_with_what_to_use_instead(small, cache):
    with pytest.raises(EngineError, match=r"use int8, or the model that it was made from"):
        choose_engine(small, cache, Wanted(precision="fp32"), print)


def test_an_int8_model_without_accepted_engine_is_refused_with_the_command(small, cache):
    with pytest.raises(EngineError, match=r"compile it first: stream compile tiny.onnx") as error:
        choose_engine(small, cache, Wanted(), print)
    assert "--precision int8" in str(error.value)


def test_a_rejected_named_engine_is_refused_with_what_it_missed(small, cache):
    store(cache, small, "openvino", INT8, missed=["top-1 agreement 0.2, wanted 0.99"])
    with pytest.raises(EngineError, match=r"the gate rejected it: top-1 agreement 0.2.*--force"):
        choose_engine(small, cache, Wanted("openvino"), print)


def test_force_takes_a_rejected_engine_and_the_reason_says_so(small, cache):
    store(cache, small, "openvino", INT8, missed=["top-1 agreement 0.2, wanted 0.99"])
    got, reason, said = pick(small, cache, force=True)
    assert got == ("openvino", "int8", 1, "forced")
    assert "forced although the gate rejected it: top-1 agreement 0.2" in reason
    assert said == []


def test_force_compiles_an_engine_that_the_gate_has_not_seen(small, cache):
    got, reason, _ = pick(small, cache, engine="openvino", force=True)
    assert got == ("openvino", "int8", 1, "forced")
    assert "forced although the gate has not seen it" in reason


def test_m06_force_names_a_damaged_accepted_engine_once_and_compiles_it_again(small, cache):
    entry = store(cache, small, "openvino", INT8)
    (entry.place / ENGINE).write_bytes(b"damaged")
    got, _, said = pick(small, cache, force=True)
    assert got == ("openvino", "int8", 1, "forced")
    assert len(said) == 2
    assert "cannot be used" in said[0] and "compiling it again" in said[1]


def test_force_does_not_replace_the_default_of_a_float_model(model, cache):
    store(cache, model, "onnxruntime", ORT, missed=["top-1 agreement 0.2, wanted 0.99"])
    assert pick(model, cache, force=True)[0][3] == "default"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("engine", ["auto", "openvino", "tensorrt"])
def test_f40_a_required_gpu_is_never_replaced_by_the_cpu(model, cache, engine, force, monkeypatch):
    monkeypatch.setattr(choose, "installed_engines", lambda: ("openvino", "onnxruntime"))
    store(cache, model, "onnxruntime", ORT)
    with pytest.raises(EngineError, match=rf"\[F40\] engine {engine} on a GPU"):
        choose_engine(model, cache, Wanted(engine, require_gpu=True, force=force), print)


def test_an_unknown_engine_is_refused_by_name(model, cache):
    with pytest.raises(EngineError, match="engine abacus: is not known; expected auto or tensorrt"):
        choose_engine(model, cache, Wanted("abacus"), print)


def test_an_engine_that_differs_from_the_reference_is_not_the_default(
    model, small, cache, monkeypatch
):
    def lying(wanted, name):
        return open_engine(
            small if name == "openvino" else wanted, "auto" if name == "openvino" else name
        )

    monkeypatch.setattr(choose, "open_engine", lying)
    got, _, said = pick(model, cache)
    assert got == ("onnxruntime", "fp32", 1, "default")
    assert len(said) == 1
    assert "openvino cannot be used: error[F07]" in said[0]


def test_the_known_answers_of_the_default_are_those_of_the_reference(model, cache):
    chosen = choose_engine(model, cache, Wanted(), print)
    reference = open_engine(model, "onnxruntime")
    output = run_frames(reference, chosen.probe.frames)
    assert (output.probs == chosen.probe.probs).all()
    reference.close()
    chosen.engine.close()
