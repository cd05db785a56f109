"""F05: memory that runs out fails one try, and leaves nothing behind."""

import pycuda.driver as cuda
import pytest

from engines.errors import EngineError
from engines.options import EngineOptions
from engines.trt import compile_engine, identify, load_engine
from tests.cuda.kit import NO_DEVICE, OUT_OF_MEMORY
from tests.trt_standin.conftest import UP_TO_4, noise, require_equal, require_nothing_left

# Device memory of one engine, in the order of allocation: TensorRT's weights, then for each of
# two slots TensorRT's scratch, the input and four outputs.
ALLOCATIONS = 1 + 2 * (1 + 5)


@pytest.mark.parametrize("call", [1, 2, 3, 8, ALLOCATIONS])
def test_f05_no_memory_for_the_engine_leaves_nothing_behind_and_a_second_try_works(
    model, plan, driver, reference, call
):
    driver.fail("alloc", OUT_OF_MEMORY, call=call, mode="always")  # PyCUDA tries twice itself
    try:
        load_engine(model, UP_TO_4, plan)
    except EngineError as error:
        assert error.fault == "F05"
        driver.reset()
        require_nothing_left(driver)  # while the error is still held, as who tries again does
        engine = load_engine(model, UP_TO_4, plan)
    require_equal(engine.submit(noise(3)).result(), reference(noise(3)))
    engine.close()
    require_nothing_left(driver)


def test_an_engine_takes_the_memory_that_the_fault_facts_count(model, plan, driver):
    engine = load_engine(model, UP_TO_4, plan)
    stats = driver.stats()
    assert (stats.device_allocations, stats.pinned_allocations) == (ALLOCATIONS, 10)
    engine.close()


@pytest.mark.parametrize("kind", ["alloc", "pinned"])
def test_f05_memory_that_never_comes_fails_every_try_the_same_way(model, plan, driver, kind):
    driver.fail(kind, OUT_OF_MEMORY, mode="always")
    for _ in range(3):
        with pytest.raises(EngineError, match=r"\[F05\].*out of memory.*smaller batch"):
            load_engine(model, UP_TO_4, plan)
    require_nothing_left(driver)


def test_f05_a_card_too_small_for_two_slots_may_hold_one(model, plan, driver):
    slot = (1 << 20) + 4 * (3 * 32 * 32 + 4 * (2 + 2 + 32 + 3))
    driver.set_memory(len(plan) + slot + (1 << 19))
    with pytest.raises(EngineError, match=r"\[F05\].*latency"):
        load_engine(model, UP_TO_4, plan)
    load_engine(model, EngineOptions(batch=UP_TO_4.batch, mode="latency"), plan).close()
    driver.set_memory(8 << 30)
    require_nothing_left(driver)


def test_f05_memory_that_runs_out_while_building_is_said_so(model, driver):
    driver.fail("alloc", OUT_OF_MEMORY)
    with pytest.raises(EngineError, match=r"\[F05\].*cannot build it: .*out of memory"):
        compile_engine(model, UP_TO_4, lambda line: None)
    require_nothing_left(driver)


# The third host function is queued while recording, which then is given up; the fourth call
# starts a recording.
@pytest.mark.parametrize(("kind", "call"), [("copy", 1), ("copy", 3), ("launch", 1), ("launch", 4)])
def test_f05_memory_that_runs_out_in_a_run_fails_that_run_only(
    engine, driver, reference, kind, call
):
    driver.fail(kind, OUT_OF_MEMORY, call=call)
    answers = []
    for seed in range(4):
        try:
            answers.append((seed, engine.submit(noise(1, seed)).result()))
        except EngineError as error:
            assert error.fault == "F05"
    assert len(answers) == 3
    for seed, answer in answers:
        require_equal(answer, reference(noise(1, seed)))


def test_without_a_card_one_line_says_so(driver):
    driver.fail("init", NO_DEVICE, mode="always")
    with pytest.raises(EngineError, match="NVIDIA card: none is usable: cuInit failed"):
        identify(EngineOptions())


def test_a_card_older_than_tensorrt_takes_is_refused_before_any_build(monkeypatch):
    monkeypatch.setattr(cuda.Device, "compute_capability", lambda self: (7, 0))
    with pytest.raises(EngineError, match=r"compute capability 7.0\): too old; .* 7.5 or later"):
        identify(EngineOptions())
