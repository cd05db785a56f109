"""What the processor is called and how many cores a process may use."""

import pytest

from engines import cpu

X86 = """processor\t: 0
model name\t: Example 9000
flags\t\t: fpu avx2 avx512f amx_tile avx512_vnni

processor\t: 1
model name\t: Example 9000
flags\t\t: fpu
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n"


@pytest.fixture
def cpuinfo(tmp_path, monkeypatch):
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "cpuinfo")
    return cpu.CPUINFO


def test_the_name_holds_the_instruction_sets_that_change_an_engine(cpuinfo):
    cpuinfo.write_text(X86)
    assert cpu.name_cpu() == "Example 9000 (avx2 avx512f avx512_vnni)"


def test_an_arm_processor_is_named_by_its_machine_and_features(cpuinfo, monkeypatch):
    cpuinfo.write_text(ARM)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert cpu.name_cpu() == "aarch64 (asimddp i8mm)"


def test_without_the_list_of_the_kernel_the_machine_is_named(cpuinfo, monkeypatch):
    monkeypatch.setattr("platform.processor", lambda: "arm")
    assert cpu.name_cpu() == "arm"


def test_only_cores_that_the_process_may_use_count(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {1, 4})
    assert cpu.count_cores() == 2
