"""What the parts of a recipe must agree on: values that are each in range but not together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from train.recipe import Recipe


def find_contradiction(recipe: Recipe) -> str:
    """Return the first thing that a recipe asks for and cannot have, in words; empty for none."""
    rules = (_names, _backbones, _optimizer, _method, _point, _folds)
    return next((said for rule in rules for said in rule(recipe)), "")


def find_study_contradiction(recipes: Sequence[Recipe]) -> str:
    """Return the first thing that variants cannot be together, in words; empty for none."""
    first, targets = recipes[0], {recipe.target for recipe in recipes}
    if first.split.kind == "folds" and len(recipes) > 1:
        return f"folds train one network, not {len(recipes)}; give one --variant"
    if first.regions and targets != {"region", "label"}:
        return "a cascade needs a variant for the region and one for the finding"
    return ""


def _names(recipe: Recipe) -> Iterator[str]:
    classes = recipe.classes
    if len(classes) < 2 or len(set(classes)) < len(classes):
        yield f"classes = {list(classes)}; expected two different names or more"
    if recipe.positive_class not in classes:
        yield f"positive_class = {recipe.positive_class!r}; expected one of {', '.join(classes)}"
    if strange := sorted(set(recipe.data.labels.values()) - set(classes)):
        yield f"data.labels gives {strange[0]!r}; expected one of {', '.join(classes)}"
    if recipe.target == "region" and len(set(recipe.regions)) < 2:
        yield "target = 'region' needs two regions or more"
    if recipe.head.single and (len(classes) != 2 or recipe.regions):
        yield "head.single is for two classes without regions"


def _backbones(recipe: Recipe) -> Iterator[str]:
    names = recipe.backbones
    if not names:
        yield "backbones = []; expected one timm name or more"
    early = len(names) == 1 and names[0].startswith("mobilenetv2")
    if recipe.frozen == "early" and not early:
        yield f"frozen = 'early' is for one mobilenetv2; backbones are {', '.join(names)}"
    if recipe.frozen != "early" and (recipe.neck or recipe.stages < 7):
        yield f"neck and stages need frozen = 'early', not {recipe.frozen!r}"
    if recipe.neck and recipe.stages < 7:
        yield f"neck = {recipe.neck} needs all 7 stages, not {recipe.stages}"


def _optimizer(recipe: Recipe) -> Iterator[str]:
    if recipe.optimizer != "adam" and recipe.plateau:
        yield f"plateau with {recipe.optimizer}, which sets its own rate; expected adam"
    if recipe.optimizer == "adam" and recipe.weight_decay:
        yield f"weight_decay = {recipe.weight_decay} with adam, which has none; expected 0"


def _method(recipe: Recipe) -> Iterator[str]:
    head = recipe.head
    if recipe.method == "gradient":
        return
    if recipe.frozen == "none":
        yield f"method = {recipe.method!r} trains no backbone; frozen is 'none'"
    bare = not head.hidden and not head.conv
    flat = bare and head.pool == "flatten" and not head.norm
    if recipe.method == "svc" and not (flat and head.single):
        yield "method = 'svc' needs a head of the flattened map and one unit alone"
    plain = bare and head.pool == "average" and head.max_pool == 1
    if recipe.method == "logistic" and (not plain or head.single):
        yield "method = 'logistic' needs a head of an average and a linear layer alone"


def _point(recipe: Recipe) -> Iterator[str]:
    head = recipe.head
    if recipe.point and (head.hidden or head.pool != "average"):
        yield "point needs a head with average pooling and no hidden layers"
    if recipe.point and recipe.phantom is None:
        yield "point needs masks of the finding, which only phantom clips have"


def _folds(recipe: Recipe) -> Iterator[str]:
    if recipe.split.kind != "folds":
        return
    if recipe.keep == "best" or recipe.stop or recipe.plateau:
        yield "keep = 'best', stop and plateau need a validation part; folds have none"
    if recipe.attribution or recipe.figures:
        yield "attribution and figures show a validation and a test part; folds have none"
    if recipe.phantom or recipe.regions:
        yield "split.kind = 'folds' is for a table of frames of one region"
