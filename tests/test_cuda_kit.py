"""The fake CUDA driver and the kit around it; the facts are in tests/cuda/driver_facts.py."""

from pathlib import Path

import pytest

from tests.cuda import kit, setup
from tests.cuda.surface import dotted_names, fits

FACTS = Path(__file__).parent / "cuda" / "driver_facts.py"


@pytest.mark.parametrize("fact", kit.fact_names(FACTS))
def test_fake_driver(fact):
    kit.need("pycuda", "driver")
    done, outcomes = kit.run_facts(FACTS)
    assert outcomes.get((FACTS.stem, fact)) == {"PASSED"}, done.stdout + done.stderr


def test_the_process_over_the_fake_driver_ends_well():
    kit.need("pycuda", "driver")
    done, _ = kit.run_facts(FACTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_context_left_on_the_stack_aborts_the_process():
    kit.need("pycuda", "driver")
    program = "import pycuda.driver as c; c.init(); c.Device(0).retain_primary_context().push()"
    done = kit.run_with_fake(program)
    assert "context stack was not empty" in done.stderr
    assert done.returncode != 0


@pytest.fixture
def reasons(tmp_path, monkeypatch):
    monkeypatch.setattr(kit, "REASONS", tmp_path / "missing.txt")
    monkeypatch.delenv("CI", raising=False)
    return tmp_path / "missing.txt"


def test_a_test_is_skipped_with_the_reason_why_a_part_is_missing(reasons):
    reasons.write_text("pycuda: no g++\ndriver: needs pycuda\n")
    kit.need("stubs-11.4")
    with pytest.raises(pytest.skip.Exception, match="pycuda: no g\\+\\+"):
        kit.need("pycuda")


def test_on_ci_a_missing_part_fails_the_test(reasons, monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="not built"):
        kit.need("pycuda")


def test_setup_names_a_part_that_cannot_be_built_and_what_needs_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(setup, "HOME", tmp_path)

    def refuse(folder):
        raise setup.ImpossibleError("no g++")

    steps = [setup.Step("pycuda", refuse, "1"), setup.Step("driver", Path.touch, "1")]
    assert setup.run_chain(steps) == ["pycuda: no g++", "driver: needs pycuda"]
    assert not (tmp_path / "pycuda").exists()


def test_setup_builds_again_only_when_what_a_part_is_made_from_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "HOME", tmp_path)
    built = []
    for made_from in ("1", "1", "2"):
        setup.run_step(setup.Step("part", built.append, made_from))
    assert len(built) == 2


def test_a_call_fits_when_its_names_and_defaults_do():
    real = (("flags", False), ("path", True))
    assert fits((("flags", False),), real)
    assert not fits((("path", False),), real)
    assert not fits((), real)
    assert not fits((("flags", True),), real)


def test_names_are_found_under_any_alias(tmp_path):
    (tmp_path / "a.py").write_text("import tensorrt as t\nt.Builder(other.X)\nt.BuilderFlag.TF32\n")
    assert {"Builder", "BuilderFlag.TF32"} <= dotted_names(tmp_path / "a.py", "tensorrt")
