"""Facts about CURVE keys."""

import stat

import pytest

from stream.errors import UsageError
from stream.live.wire.keys import FILES, answer_zap, keys, load_keys, make_keys

KEY = bytes(range(32))


def request(key=KEY, version=b"1.0", mechanism=b"CURVE"):
    return [version, b"7", b"sonostream", b"127.0.0.1", b"", mechanism, key]


def test_made_keys_can_be_loaded_and_belong_together(tmp_path):
    from stream.live.wire.sockets import public_key

    make_keys(tmp_path / "k")
    found = load_keys(tmp_path / "k")
    assert found.server_public == public_key(found.server_secret)
    assert found.allowed == {public_key(found.client_secret)}


def test_secrets_are_readable_by_their_owner_alone(tmp_path):
    make_keys(tmp_path / "k")
    modes = {name: stat.S_IMODE((tmp_path / "k" / name).stat().st_mode) for name in FILES}
    assert {modes[name] for name in FILES if name.endswith(".secret")} == {0o600}
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o700


def test_no_key_is_overwritten(tmp_path, capsys):
    folder = tmp_path / "k"
    keys(folder)
    before = {name: (folder / name).read_bytes() for name in FILES}
    (folder / FILES[0]).unlink()
    with pytest.raises(UsageError, match="exists"):
        keys(folder)
    assert not (folder / FILES[0]).exists()
    assert all((folder / name).read_bytes() == before[name] for name in FILES[1:])
    assert capsys.readouterr().out.split() == [str(folder / name) for name in FILES]


def test_a_receiver_needs_its_two_files_alone(tmp_path):
    make_keys(tmp_path)
    (tmp_path / "server.secret").unlink()
    (tmp_path / "clients/client.public").unlink()
    found = load_keys(tmp_path)
    assert found.server_secret is None and found.allowed == frozenset()
    assert found.server_public and found.client_secret


def test_a_secret_that_others_may_read_is_refused(tmp_path):
    make_keys(tmp_path)
    (tmp_path / "client.secret").chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        load_keys(tmp_path)


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "ab" * 31, "ab" * 33])
def test_a_file_without_a_key_is_refused(tmp_path, text):
    make_keys(tmp_path)
    (tmp_path / "server.public").write_text(text)
    with pytest.raises(UsageError, match="64 hexadecimal"):
        load_keys(tmp_path)


def test_a_folder_without_keys_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no keys"):
        load_keys(tmp_path)


def test_secrets_do_not_show_in_print(tmp_path):
    make_keys(tmp_path)
    found = load_keys(tmp_path)
    assert repr(found.client_secret) not in repr(found)
    assert repr(found.server_secret) not in repr(found)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request(), b"200"),
        (request(key=bytes(32)), b"400"),
        (request(version=b"2.0"), b"400"),
        (request(mechanism=b"NULL"), b"400"),
        (request()[:-1], b"400"),
        ([], b"400"),
    ],
)
def test_z08_only_a_listed_key_is_let_in(asked, status):
    assert answer_zap(asked, frozenset({KEY}))[-4] == status
