"""`stream doctor --gpu` on a machine without TensorRT."""

import sys

import pytest

from engines.errors import EngineError
from stream.doctor_gpu import doctor_gpu


def test_without_tensorrt_the_doctor_says_so_and_still_writes_the_report(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match="tensorrt cannot be imported") as caught:
        doctor_gpu(tmp_path / "report")
    assert caught.value.exit_code == 5
    assert "tensorrt cannot be imported" in (tmp_path / "report/gpu-report.md").read_text()
    assert (tmp_path / "report/gpu-report.json").exists()
