"""Facts about recipe files: the shipped ones, profiles, variants, and what is refused."""

import typing

import pytest

from stream.errors import UsageError
from train.attribution.methods import METHODS
from train.recipe import Method
from train.study import RECIPES, merge, read_study

SHIPPED = {"auto-pcos", "fibroid", "lung", "mura-hybrid", "pcos-mobilenet", "phantom-kidney", "puj"}
SYSTEMS = sorted(SHIPPED - {"phantom-kidney"})


def test_shipped_recipes_are_these():
    assert {path.stem for path in RECIPES.glob("*.toml")} == SHIPPED


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_recipe_is_read_by_name(name):
    assert read_study(name).name == name


@pytest.mark.parametrize("name", SYSTEMS)
def test_original_profile_holds_out_by_image_and_sound_by_group(name):
    found = [read_study(name, profile).first.split.by for profile in ("original", "sound")]
    assert found == ["image", "group"]


def test_the_two_ovary_recipes_name_opposite_positive_classes():
    found = [read_study(name).first.positive_class for name in ("pcos-mobilenet", "auto-pcos")]
    assert found == ["healthy", "unhealthy"]


def test_variant_overrides_what_is_common_and_keeps_the_rest():
    study = read_study("puj")
    assert study.variants["vgg16"].head.conv == 256
    assert study.variants["vgg16-svc"].head.conv == 0
    assert study.variants["vgg16-svc"].head.pool == "flatten"


def test_variants_may_be_chosen():
    assert list(read_study("lung", only=("densenet121",)).variants) == ["densenet121"]


def test_merging_replaces_lists_and_joins_tables():
    assert merge({"a": [1], "b": {"c": 1, "d": 2}}, {"a": [2], "b": {"d": 3}}) == {
        "a": [2],
        "b": {"c": 1, "d": 3},
    }


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("epoch = 3", "'epochs'"), ("[augment]\nrotate = 3", "'rotate_deg'"), ("rum = 1", "'run'")],
)
def test_c06_unknown_key_names_the_nearest(tmp_path, text, nearest):
    base = 'name = "x"\nclasses = ["a", "b"]\npositive_class = "a"\nlicence = ""\n'
    path = tmp_path / "mine.toml"
    path.write_text(f'{base}intended_use = ""\n{text}\n')
    with pytest.raises(UsageError, match=rf"\[C06\].*nearest key: {nearest}"):
        read_study(str(path))


BASE = """
name = "x"
classes = ["a", "b"]
positive_class = "a"
licence = ""
intended_use = ""
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('optimizer = "sgd"', "optimizer = 'sgd'; expected one of adamw-cycle, adam; nearest"),
        ('[head]\npool = "max"', "head.pool = 'max'; expected one of average, flatten"),
        ('attribution = ["gradcam"]', "nearest: 'grad-cam'"),
        ("run = 'x'", "expected a list of variants"),
        ("run = []", "expected a list of variants"),
        ("run = [[1]]", "expected a list of variants"),
        ("variants = 3", r"expected tables \[variants.NAME\]"),
        ("[profiles]\nsound = 3", r"expected tables \[profiles.NAME\]"),
        ("a = ", "expected TOML"),
    ],
)
def test_c06_what_may_stand_there_is_said(tmp_path, text, said):
    (tmp_path / "mine.toml").write_text(BASE + text)
    with pytest.raises(UsageError, match=rf"\[C06\] mine.toml: .*{said}"):
        read_study(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "", ".x", "x" * 65])
def test_c06_name_that_is_no_folder_name_is_refused(tmp_path, name):
    (tmp_path / "mine.toml").write_text(BASE.replace('"x"', f'"{name}"'))
    with pytest.raises(UsageError, match=r"\[C06\].*`\$.name`"):
        read_study(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("text", ["a = " + "[" * 5000 + "]" * 5000, "# " + "x" * (1 << 20)])
def test_c07_recipe_too_deep_or_too_large_is_refused(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UsageError, match=r"\[C07\]"):
        read_study(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("values", "said"),
    [({"seed": -1}, ">= 0"), ({"input_px": 5000}, "<= 1024"), ({"attribution": ("x",)}, "cam")],
)
def test_c06_flag_out_of_range_is_refused_like_the_file(values, said):
    with pytest.raises(UsageError, match=rf"\[C06\].*{said}"):
        read_study("auto-pcos").changed(**values)


def test_contradicting_settings_are_refused_when_read(tmp_path):
    (tmp_path / "mine.toml").write_text(BASE.replace('"a"\n', '"c"\n'))
    with pytest.raises(UsageError, match=r"\[C06\] mine.toml: x: positive_class = 'c'"):
        read_study(str(tmp_path / "mine.toml"))


def test_explaining_methods_are_those_that_there_are():
    assert set(typing.get_args(Method)) == set(METHODS)


def test_c06_value_out_of_range_says_the_range(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "x"\nclasses = ["a", "b"]\npositive_class = "a"\ndrop = 2.0\n')
    with pytest.raises(UsageError, match=r"<= 1.*drop"):
        read_study(str(path))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("phantom-kidny",), "did you mean 'phantom-kidney'"),
        (("lung", "orignal"), "profiles: original, sound"),
        (("lung", "sound", ("vgg16",)), "variants: mobilenetv2"),
    ],
)
def test_c06_unknown_recipe_profile_or_variant_names_what_there_is(arguments, said):
    with pytest.raises(UsageError, match=said):
        read_study(*arguments)


def test_quick_version_keeps_name_and_classes():
    study = read_study("phantom-kidney")
    quick = study.quickened()
    assert (quick.name, quick.first.classes, quick.first.epochs) == (
        study.name,
        study.first.classes,
        2,
    )
