"""Facts about the model contract's metadata."""

import msgspec
import pytest

from engines.spec import decode_spec, encode_spec
from tests.tiny_model import GATE, SPEC


def test_a_spec_survives_its_json():
    spec = msgspec.structs.replace(SPEC, gate=GATE, metrics={"accuracy": 0.5})
    assert decode_spec(encode_spec(spec)) == spec


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": 2}, "schema 2"),
        ({"classes": ("red",)}, "two or more"),
        ({"classes": ("red", "red")}, "distinct"),
        ({"classes": ("red", "=1+1")}, "formula"),
        ({"classes": ("red", "a\nb")}, "printable"),
        ({"positive_class": "green"}, "green"),
        ({"input_wh": (8, 8)}, "at least 32"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"threshold": 1.0}, "threshold 1.0"),
        ({"cam_scale": (1.0,)}, "cam_scale"),
        ({"cam_scale": (1.0, float("nan"))}, "cam_scale"),
        ({"cam_kind": "magic"}, "magic"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(changes, says):
    values = msgspec.to_builtins(SPEC) | changes
    with pytest.raises(ValueError, match=says):
        decode_spec(msgspec.json.encode(values).decode())


def test_an_unknown_field_is_refused():
    text = encode_spec(SPEC).replace('{"schema"', '{"surprise":1,"schema"', 1)
    with pytest.raises(ValueError, match="surprise"):
        decode_spec(text)


@pytest.mark.parametrize("change", [{"limit": 0.0}, {"scale": (0.0, 1.0, 1.0)}, {"scale": (1.0,)}])
def test_a_gate_that_cannot_work_is_refused(change):
    values = msgspec.to_builtins(GATE) | change
    with pytest.raises(ValueError, match="gate"):
        msgspec.convert(values, type(GATE))
