"""Facts about checkpoints: no pickle, whole or not at all, everything back as it was."""

import json

import pytest
import torch

from stream.errors import StorageError
from train.fitting.checkpoint import read_plain, read_state, write_state

STATE = {
    "epoch": 3,
    "betas": (0.9, 0.999),
    "state": {0: {"step": torch.tensor(7.0)}, 1: {}},
    "mixed": {None: [1, "x", False], "a": float("inf")},
    "exact": 0.1 + 0.2,
}


def test_plain_data_tuples_and_number_keys_come_back(tmp_path):
    write_state(tmp_path / "a", STATE)
    found = read_state(tmp_path / "a")
    assert found["state"][0].pop("step") == 7
    assert found == STATE | {"state": {0: {}, 1: {}}}


def test_memory_format_of_a_tensor_is_kept(tmp_path):
    weights = torch.rand(4, 3, 2, 2).to(memory_format=torch.channels_last)
    write_state(tmp_path / "a", {"weights": weights, "again": weights})
    found = read_state(tmp_path / "a")["weights"]
    assert torch.equal(found, weights) and found.stride() == weights.stride()


def test_header_alone_tells_what_is_not_a_tensor(tmp_path):
    write_state(tmp_path / "a", STATE)
    assert read_plain(tmp_path / "a")["state"] == {0: {"step": None}, 1: {}}


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", print, 1j])
def test_anything_else_is_refused_with_its_place(tmp_path, value):
    with pytest.raises(TypeError, match=f"checkpoint/a/1 is a {type(value).__name__}"):
        write_state(tmp_path / "a", {"a": [0, value]})
    assert not (tmp_path / "a").exists()


def test_words_that_look_like_our_marks_come_back(tmp_path):
    state = {"$tuple": 1, "x": {"$tensor": "0"}, "y": ["$items"]}
    write_state(tmp_path / "a", state)
    assert read_state(tmp_path / "a") == state


def test_torn_file_is_refused(tmp_path):
    write_state(tmp_path / "a", {"w": torch.rand(100)})
    whole = (tmp_path / "a").read_bytes()
    for size in (0, 5, 40, len(whole) - 1):
        (tmp_path / "a").write_bytes(whole[:size])
        with pytest.raises(StorageError, match="error a: not a whole checkpoint"):
            read_state(tmp_path / "a")


def test_file_of_another_program_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"w": torch.rand(2)}, tmp_path / "a", {"other": json.dumps({})})
    with pytest.raises(StorageError):
        read_plain(tmp_path / "a")


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_state(tmp_path / "a", {"epoch": 1})
    monkeypatch.setattr("train.fitting.checkpoint.os.fsync", lambda _file: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_state(tmp_path / "a", {"epoch": 2})
    assert read_state(tmp_path / "a") == {"epoch": 1}
