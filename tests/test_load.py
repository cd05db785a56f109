"""Facts about what the model door lets in and what it refuses, by id."""

import io
import os
import pickle
import zipfile

import msgspec
import onnx
import pytest
from onnx import helper

from engines.errors import EngineError
from engines.load import load_model
from engines.spec import METADATA_KEY, encode_spec
from tests.tiny_model import GATE, SPEC, build_tiny, save_tiny


def refused(path):
    with pytest.raises(EngineError) as caught:
        load_model(path)
    return caught.value


def test_a_good_model_gives_its_spec_and_digest(tmp_path):
    model = load_model(save_tiny(tmp_path))
    assert model.spec == SPEC
    assert len(model.digest) == 64


class Marker:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "renamed.onnx"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_m01_pickle_in_disguise_is_refused_and_never_run(tmp_path, name, wrapped):
    marker = tmp_path / "marker"
    data = pickle.dumps(Marker(str(marker)))
    if wrapped:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as members:
            members.writestr("archive/data.pkl", data)
        data = archive.getvalue()
    (tmp_path / name).write_bytes(data)
    error = refused(tmp_path / name)
    assert error.fault == "M01" and error.exit_code == 5
    assert not marker.exists()


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "link.bin", "hard.bin"])
def test_m04_weights_outside_the_file_are_refused(tmp_path, location):
    outside = tmp_path / "weights.bin"
    outside.write_bytes(bytes(64))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(outside)
    os.link(outside, folder / "hard.bin")
    model = build_tiny()
    tensor = model.graph.initializer[1]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.ClearField("raw_data")
    (folder / "tiny.onnx").write_bytes(model.SerializeToString())
    error = refused(folder / "tiny.onnx")
    assert error.fault == "M04" and location in str(error)


def test_m05_cut_file_is_refused(tmp_path):
    path = save_tiny(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    assert refused(path).fault == "M05"


def test_m05_empty_file_is_refused(tmp_path):
    (tmp_path / "a.onnx").touch()
    assert refused(tmp_path / "a.onnx").fault == "M05"


def test_m05_too_new_opset_is_named(tmp_path):
    model = build_tiny()
    model.opset_import[0].version = 99
    assert "opset 99" in str(refused(save_tiny(tmp_path, model)))


def test_m05_custom_operator_is_named(tmp_path):
    model = build_tiny()
    model.graph.node[0].domain = "evil"
    model.graph.node[0].op_type = "Run"
    assert "evil.Run" in str(refused(save_tiny(tmp_path, model)))


def test_m05_endless_loop_is_named(tmp_path):
    model = build_tiny()
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], [], body=body))
    assert "Loop" in str(refused(save_tiny(tmp_path, model)))


def with_spec(**changes):
    """Return a tiny model whose metadata was edited after export."""
    model = build_tiny()
    entry = next(e for e in model.metadata_props if e.key == METADATA_KEY)
    entry.value = encode_spec(msgspec.structs.replace(SPEC, **changes))
    return model


def test_m07_labels_that_differ_from_the_graph_are_refused_with_both_values(tmp_path):
    changes = {"classes": ("blue", "red", "green"), "cam_scale": (1.0, 1.0, 1.0)}
    error = refused(save_tiny(tmp_path, with_spec(**changes)))
    assert error.fault == "M07" and "2" in str(error) and "3" in str(error)


def test_m07_input_size_that_differs_is_refused_with_both_values(tmp_path):
    error = refused(save_tiny(tmp_path, with_spec(input_wh=(64, 64))))
    assert error.fault == "M07" and "32" in str(error) and "64" in str(error)


def test_m07_colour_order_that_differs_is_refused_with_both_values(tmp_path):
    model = build_tiny()
    entry = next(e for e in model.metadata_props if e.key == METADATA_KEY)
    entry.value = entry.value.replace('"RGB"', '"BGR"')
    error = refused(save_tiny(tmp_path, model))
    assert error.fault == "M07" and "BGR" in str(error) and "RGB" in str(error)


def test_m07_gate_of_another_length_is_refused(tmp_path):
    gate = msgspec.structs.replace(GATE, center=(0.5,), scale=(1.0,))
    assert refused(save_tiny(tmp_path, with_spec(gate=gate))).fault == "M07"


def test_m08_foreign_onnx_is_refused(tmp_path):
    model = build_tiny()
    del model.metadata_props[:]
    error = refused(save_tiny(tmp_path, model))
    assert error.fault == "M08" and "not a Sonostream model" in str(error)


def test_m08_file_replaced_while_running_changes_nothing(tmp_path):
    path = save_tiny(tmp_path)
    model = load_model(path)
    before = model.data
    path.write_bytes(b"something else")
    assert model.data == before


def test_m07_a_spec_that_lies_about_quantisation_is_refused(tmp_path):
    error = refused(save_tiny(tmp_path, with_spec(precision="int8")))
    assert error.fault == "M07" and "not quantised" in str(error) and "int8" in str(error)
    model = build_tiny(precision="int8")
    model.metadata_props[0].value = encode_spec(SPEC)
    error = refused(save_tiny(tmp_path, model))
    assert error.fault == "M07" and "is quantised" in str(error) and "fp32" in str(error)


def test_a_quantised_model_that_says_so_is_loaded(tmp_path):
    assert load_model(save_tiny(tmp_path, precision="int8")).spec.precision == "int8"
