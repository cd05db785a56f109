"""Facts about recipes: the shipped ones, and what is refused."""

import pytest

from stream.errors import UsageError
from train.recipe import RECIPES, read_recipe


@pytest.mark.parametrize("name", ["lung", "phantom-kidney"])
def test_shipped_recipe_is_read_by_name(name):
    assert read_recipe(name).name == name


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("epoch = 3", "'epochs'"), ("[augment]\nrotate = 3", "'rotate_deg'")],
)
def test_c06_unknown_key_names_the_nearest(tmp_path, text, nearest):
    path = tmp_path / "mine.toml"
    base = "\n".join(
        line
        for line in (RECIPES / "lung.toml").read_text().split("[augment]")[0].splitlines()
        if not line.startswith("epochs")
    )
    path.write_text(f"{base}\n{text}\n")
    with pytest.raises(UsageError, match=rf"\[C06\].*nearest key: {nearest}"):
        read_recipe(str(path))


def test_c06_value_out_of_range_says_the_range(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "x"\nclasses = ["a", "b"]\npositive_class = "a"\ndrop = 2.0\n')
    with pytest.raises(UsageError, match=r"<= 1.*drop"):
        read_recipe(str(path))


def test_c06_unknown_recipe_names_the_nearest_shipped_one():
    with pytest.raises(UsageError, match="did you mean 'phantom-kidney'"):
        read_recipe("phantom-kidny")


def test_quick_version_keeps_name_and_classes():
    recipe = read_recipe("phantom-kidney")
    quick = recipe.quickened()
    assert (quick.name, quick.classes, quick.epochs) == (recipe.name, recipe.classes, 1)
