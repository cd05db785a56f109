"""Facts about settings."""

from pathlib import Path

import pytest

from stream.config import AnalysisConfig, load_config
from stream.errors import UsageError


def write(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_a_flag_overrides_the_file_and_the_file_the_defaults(tmp_path):
    path = write(tmp_path, "top_k = 7\nhold_s = 1.5\n")
    config = load_config(path, {"top_k": 3, "every": None})
    assert (config.top_k, config.hold_s, config.every) == (3, 1.5, 1)


def test_no_file_and_no_flag_give_the_defaults():
    assert load_config(None, {}) == AnalysisConfig()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("topk = 5", "did you mean 'top_k'?"),
        ("top_k = 0", "top_k = 0"),
        ("hold_s = -1", "hold_s = -1"),
        ("hold_s = '200ms'", "Expected `float`"),
        ("margin = 0.5", "< 0.5"),
        ("top_k = ", "cannot be read as TOML"),
    ],
)
def test_c06_a_bad_setting_is_named_with_what_is_allowed(tmp_path, text, says):
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, text), {})
    assert says in str(caught.value) and "[C06]" in str(caught.value)
    assert caught.value.exit_code == 2


def test_c06_all_unknown_keys_are_named_together(tmp_path):
    with pytest.raises(UsageError, match="unknown keys bar, foo"):
        load_config(write(tmp_path, "foo = 1\nbar = 2"), {})


@pytest.mark.parametrize("path", ["/dev/zero", "/absent", "/"])
def test_c06_what_is_no_file_is_refused_without_reading(path):
    with pytest.raises(UsageError, match="C06"):
        load_config(Path(path), {})


def test_c07_deep_nesting_is_refused(tmp_path):
    with pytest.raises(UsageError, match="C07"):
        load_config(write(tmp_path, "a = " + "[" * 20_000), {})


def test_c07_an_oversized_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="C07"):
        load_config(write(tmp_path, "#" * 70_000), {})
