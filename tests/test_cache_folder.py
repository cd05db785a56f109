"""The folder of the cache: made when needed, this user's alone, and one clear line otherwise."""

import os
import stat

import pytest

from engines.base import Identity
from engines.build import build_engine, engine_key
from engines.cache import Cache, list_entries, open_cache, read_entry, write_entry
from engines.errors import EngineError
from engines.load import load_model
from engines.options import EngineOptions
from tests.tiny_model import save_tiny


@pytest.fixture
def model(tmp_path):
    return load_model(save_tiny(tmp_path))


def test_a_cache_is_made_when_first_written_and_for_this_user_alone(model, tmp_path):
    cache = open_cache(tmp_path / "new" / "cache")
    key = engine_key(model, "openvino", EngineOptions(), Identity("1", "a processor"))
    assert list(list_entries(cache)) == []
    assert read_entry(cache, key) is None
    assert not cache.folder.exists()
    write_entry(cache, key, model, b"engine", b"probe")
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


def test_the_cache_of_this_user_is_below_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_cache().folder == tmp_path / ".cache" / "sonostream" / "engines"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_m06_a_cache_that_others_can_write_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(EngineError, match=r"\[M06\].*others can write it.*chmod 700"):
        open_cache(tmp_path)


def test_m06_the_cache_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(EngineError, match=r"\[M06\].*belongs to user"):
        open_cache(tmp_path)


def test_a_file_in_the_place_of_the_cache_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EngineError, match="the cache cannot be used: Not a directory"):
        open_cache(tmp_path / "file")


def test_a_cache_that_cannot_be_read_is_one_clear_line(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(EngineError, match="the cache cannot be used: Permission denied"):
        list(list_entries(Cache(tmp_path)))


def test_an_engine_that_cannot_be_stored_is_closed(model, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    closed = []
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    monkeypatch.setattr("engines.ov.OpenVinoEngine.close", lambda engine: closed.append(engine))
    with pytest.raises(EngineError, match="cannot be stored: No space left"):
        build_engine(model, "openvino", EngineOptions(), open_cache(tmp_path / "new"), print)
    assert len(closed) == 1
