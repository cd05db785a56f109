"""Every TensorRT name that the engine uses is in NVIDIA's real bindings, before and after 11."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cuda.kit import HOME, MAJORS, bindings_environment, kit_environment, need
from tests.cuda.surface import attributes, dotted_names, fits, read_surface

ROOT = Path(__file__).parents[1]
ENGINE = sorted((ROOT / "engines" / "trt").glob("*.py"))
STANDIN = ROOT / "tests" / "trt_standin" / "tensorrt"
VERSIONS = sorted(MAJORS)

# NVIDIA's guide "Migrating from TensorRT 10.x to 11.x", and what the bindings of 11.4 lack.
REMOVED_IN_11 = {
    *("FP16", "BF16", "INT8", "FP8", "INT4", "FP4", "EXPLICIT_BATCH", "DIRECT_IO", "WEIGHTLESS"),
    *("OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS", "REJECT_EMPTY_ALGORITHMS"),
    *("IInt8Calibrator", "IInt8EntropyCalibrator", "IInt8EntropyCalibrator2"),
    *("IInt8MinMaxCalibrator", "IInt8LegacyCalibrator", "CalibrationAlgoType", "QuantizationFlag"),
    *("int8_calibrator", "set_calibration_profile", "get_calibration_profile"),
    *("set_quantization_flag", "get_quantization_flag", "algorithm_selector"),
    *("dynamic_range", "set_output_type", "set_dynamic_range", "platform_has_fast_fp16"),
    *("platform_has_fast_int8", "platform_has_tf32", "device_memory_size"),
    *("get_device_memory_size_for_profile", "create_execution_context_without_device_memory"),
    *("has_implicit_batch_dimension", "supports_model", "parse_with_weight_descriptors"),
    *("IStreamReader", "CUBLAS", "CUBLAS_LT", "CUDNN", "execute_async_v2"),
}

# Prints, of the dotted names on stdin, those that a module lacks, and the values of enum members.
LOOK_UP = """
import functools, json, sys
module = __import__(sys.argv[1])
missing, values = [], {}
for name in json.load(sys.stdin):
    try:
        found = functools.reduce(getattr, name.split("."), module)
    except AttributeError:
        missing.append(name)
    else:
        if type(found).__module__.startswith("tensorrt") and hasattr(found, "__int__"):
            values[name] = int(found)
print(json.dumps({"version": module.__version__, "missing": missing, "values": values}))
"""


def look_up(module, names, environment):
    """Ask a module in a process of its own for names; return missing names and enum values."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK_UP, module],
        input=json.dumps(sorted(names)),
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask_bindings(version, names):
    need(f"bindings-{version}", f"libs-{version}")
    return look_up("tensorrt_bindings", names, bindings_environment(version))


def surface_of(version):
    need(f"stubs-{version}")
    return read_surface(HOME / f"stubs-{version}" / "tensorrt" / "__init__.pyi")


@pytest.fixture(scope="module")
def standin():
    return read_surface(*sorted(STANDIN.glob("[_a-z]*.py")))


@pytest.fixture(scope="module")
def exported():
    """Names that the stand-in's module has for its users."""
    imports = ast.parse((STANDIN / "__init__.py").read_text()).body
    return {a.name for node in imports if isinstance(node, ast.ImportFrom) for a in node.names}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_real_bindings_import_without_tensorrt(version):
    answer = ask_bindings(version, ["Builder", "NoSuchThing"])
    assert answer["version"].startswith(version)
    assert answer["missing"] == ["NoSuchThing"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_of_the_engine_is_in_the_bindings(version):
    names = {name for path in ENGINE for name in dotted_names(path, "tensorrt")}
    assert {"Builder", "BuilderFlag.TF32"} <= names
    assert ask_bindings(version, names)["missing"] == []


def test_the_engine_uses_nothing_that_11_removed():
    used = {node.attr for path in ENGINE for node in attributes(path)}
    assert used & REMOVED_IN_11 == set()


def test_the_engine_looks_up_no_name_by_its_text():
    names = (node for path in ENGINE for node in ast.walk(ast.parse(path.read_text())))
    assert "getattr" not in {node.id for node in names if isinstance(node, ast.Name)}


def test_11_has_really_removed_what_the_list_says():
    need("bindings-11.4", "libs-11.4")
    names = [f"BuilderFlag.{name}" for name in ("FP16", "BF16", "INT8", "WEIGHTLESS")]
    names += ["IInt8Calibrator", "IBuilderConfig.int8_calibrator", "ITensor.dynamic_range"]
    assert ask_bindings("11.4", names)["missing"] == sorted(names)
    assert ask_bindings("10.16", names[:3])["missing"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stand_in_has_only_names_of_the_bindings(version, standin, exported):
    public = {name for name in standin if name.split(".")[0] in exported and "__" not in name}
    assert public
    assert ask_bindings(version, public)["missing"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stand_in_takes_the_arguments_of_the_bindings(version, standin, exported):
    real = surface_of(version)
    wrong = [
        f"{name}{signature}: expected one of {real[name]}"
        for name, signatures in standin.items()
        if name.split(".")[0] in exported and real.get(name)
        for signature in signatures
        if not any(fits(signature, overload) for overload in real[name])
    ]
    assert wrong == []


def test_the_stand_in_has_the_values_of_the_bindings(standin, exported):
    need("driver", "pycuda")
    members = {n for n in standin if n.split(".")[0] in exported and n.split(".")[-1].isupper()}
    values = look_up("tensorrt", members, kit_environment())["values"]
    assert len(values) == len(members) > 0
    assert values == ask_bindings("11.4", members)["values"]


def test_values_differ_between_versions_so_members_are_used_by_name():
    name = "NetworkDefinitionCreationFlag.STRONGLY_TYPED"
    assert [ask_bindings(v, [name])["values"][name] for v in ("10.16", "11.4")] == [1, 0]
