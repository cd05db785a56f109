"""Set-up that several test files share."""

import pytest

from stream.sources import sandbox


@pytest.fixture
def fakes(monkeypatch):
    """Let sources start the misbehaving readers of `tests.sandbox_fakes`."""
    monkeypatch.setattr(sandbox, "_CHILD", "tests.sandbox_fakes")
