"""Set-up that several test files share."""

import pytest

from stream.sources import nursery


@pytest.fixture(scope="session", autouse=True)
def no_engines_of_the_user(tmp_path_factory):
    """Keep the cache of compiled engines of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def fakes(monkeypatch):
    """Let sources start the misbehaving readers of `tests.sandbox_fakes`."""
    monkeypatch.setattr(nursery, "_ALONE", "tests.sandbox_fakes")
