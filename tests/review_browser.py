"""A session and a browser for tests of the review page; to be named in `pytest_plugins`."""

import pytest

from benchmarks.browser import open_browser
from tests.review_sessions import make_session


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """An analysed clip of 70 frames."""
    return make_session(tmp_path_factory.mktemp("review"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser):
    """The browser's page at its usual size; it must log nothing by the end."""
    browser.log.clear()
    browser.resize(1280, 720)
    yield browser
    assert browser.log == [], "the page breaks no rule of its own and throws nothing"
    browser.open("about:blank")
