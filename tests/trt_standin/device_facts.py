"""F06: a device that fails stays so; nothing is freed any more, so these facts come last."""

import pytest

from engines.base import run_frames
from engines.errors import EngineError
from engines.trt import compile_engine, load_engine
from tests.cuda.kit import ILLEGAL_ADDRESS
from tests.trt_standin.conftest import UP_TO_4, noise

DONE = ("copies", "launches", "graph_launches", "synchronises", "pending", "device_allocations")


@pytest.mark.parametrize("kind", ["copy", "launch", "sync"])
@pytest.mark.parametrize("call", [1, 2, 7])
def test_f06_a_device_error_ends_the_engine_and_nothing_is_tried_again(
    model, plan, driver, kind, call
):
    engine = load_engine(model, UP_TO_4, plan)
    driver.fail(kind, ILLEGAL_ADDRESS, call=call, mode="sticky")
    with pytest.raises(EngineError, match=r"\[F06\].*illegal") as caught:
        run_frames(engine, noise(40))
    assert caught.value.remedy == "replace the worker"
    before = driver.stats()
    for _ in range(3):
        with pytest.raises(EngineError, match=r"\[F06\].*illegal"):
            engine.submit(noise(1))
    engine.close()
    after = driver.stats()
    assert [getattr(after, name) for name in DONE] == [getattr(before, name) for name in DONE]


def test_f06_a_run_under_way_when_the_device_fails_has_no_answer(model, plan, driver):
    engine = load_engine(model, UP_TO_4, plan)
    driver.fail("launch", ILLEGAL_ADDRESS, mode="sticky")
    pending = [engine.submit(noise(1)), engine.submit(noise(1))]
    for run in pending:
        with pytest.raises(EngineError, match=r"\[F06\]"):
            run.result()
    engine.close()


def test_f06_a_device_that_fails_while_loading_is_told_so(model, plan, driver):
    driver.fail("pinned", ILLEGAL_ADDRESS, call=3)
    with pytest.raises(EngineError, match=r"\[F06\]"):
        load_engine(model, UP_TO_4, plan)


def test_f06_a_device_that_fails_under_tensorrt_is_not_blamed_on_model_or_plan(model, plan, driver):
    for act in (
        lambda: compile_engine(model, UP_TO_4, lambda line: None),
        lambda: load_engine(model, UP_TO_4, plan),
    ):
        driver.fail("alloc", ILLEGAL_ADDRESS, mode="sticky")
        with pytest.raises(EngineError, match=r"\[F06\].*illegal"):
            act()
        driver.reset()


def test_f06_after_a_device_error_nothing_more_is_tried(examine, driver):
    driver.fail("launch", ILLEGAL_ADDRESS, call=5, mode="sticky")
    code, report, _ = examine()
    assert code == EngineError.exit_code
    assert len(report.trials) == 1
    assert "[F06]" in report.trials[0].error
