"""The inspector's JSON of both majors, as their documentation shows it."""

import json

from engines.trt.layers import Layer, parse_layers


def conv(**tensor):
    shaped = {"Name": "x", "Location": "Device", "Dimensions": [1, 3, 224, 224], **tensor}
    return {
        "Name": "/conv/Conv + /relu/Relu",
        "LayerType": "CaskConvolution",
        "Inputs": [shaped],
        "Outputs": [],
        "TacticName": "sm80_xmma_fprop",
    }


def test_tensorrt_10_tells_type_and_layout_in_one_field():
    field = "Channel major FP16 format where channel % 8 == 0"
    text = json.dumps({"Layers": [conv(**{"Format/Datatype": field})], "Bindings": ["x"]})
    assert parse_layers(text) == [
        Layer(
            "/conv/Conv + /relu/Relu",
            "CaskConvolution",
            "sm80_xmma_fprop",
            (f"{field} [1, 3, 224, 224]",),
            (),
        )
    ]


def test_tensorrt_11_tells_them_in_two():
    layer = conv(Format="Row major linear", DataType="Half")
    text = json.dumps({"Layers": [layer], "I/O Tensors": [{"Name": "x", "IOMode": "Input"}]})
    assert parse_layers(text)[0].reads == ("Half Row major linear [1, 3, 224, 224]",)


def test_a_plan_without_details_holds_names_only():
    assert parse_layers('{"Layers": ["a", "b"]}') == [Layer("a"), Layer("b")]
