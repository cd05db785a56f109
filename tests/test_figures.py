"""Facts about figures: the numbers drawn, and that every case gives a whole, repeatable PNG."""

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import precision_recall_curve, roc_curve

from train.figures.bars import Bar, draw_bars
from train.figures.canvas import Caption, drawable, short
from train.figures.confusion import draw_confusion
from train.figures.curves import pr_points, roc_points
from train.figures.embedding import embed, spread
from train.figures.learning import draw_learning, series
from train.figures.maps import draw_maps, shorten_title
from train.figures.reliability import bin_confidence
from train.figures.standard import draw_all
from train.scoring.metrics import Figure
from train.scoring.scored import Scored

SMALL = Caption("drawn numbers", dpi=50)
HISTORY = [{"epoch": e, "train_loss": 1 / (e + 1), "val_loss": 0.5, "val_f1": 0.7} for e in (0, 1)]


def invent(count, classes, seed=0):
    """Return seeded predictions of 8 people, and features."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(classes), count)
    names = tuple(f"p{n}" for n in rng.integers(0, 8, count))
    scored = Scored(probs, rng.integers(0, classes, count), names, names, probs)
    return scored, rng.normal(size=(count, 12)).astype(np.float32)


def test_roc_and_pr_points_are_those_of_scikit_learn_on_ties():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 9, 80) / 8, rng.random(80) < 0.4
    x, y, _ = roc_curve(positive, scores, drop_intermediate=False)
    assert np.allclose(roc_points(scores, positive), (x, y))
    precision, recall, _ = precision_recall_curve(positive, scores)
    assert np.allclose(pr_points(scores, positive), (recall[-2::-1], precision[-2::-1]))


def test_reliability_bins_are_worked_by_hand():
    # 0.91 and 0.89 share the bin from 0.867 to 0.933, one of them right; 0.55 stands alone, right
    probs = np.array([[0.91, 0.09], [0.89, 0.11], [0.45, 0.55]])
    bins = bin_confidence(Scored(probs, np.array([0, 1, 1]), ("p", "q", "q"), ("p", "q", "q")))
    assert (bins.counts[13], bins.counts[8], bins.counts.sum()) == (2, 1, 3)
    assert (bins.confidence[13], bins.accuracy[13]) == (pytest.approx(0.9), 0.5)
    assert (bins.low[13], bins.high[13]) == (0, 1)  # draws hold p only, q only, or both
    assert np.isnan(bins.accuracy[0])


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9])
def test_few_frames_have_places_in_the_plane(count):
    places = embed(invent(count, 2)[1])
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_features_that_do_not_vary_lie_on_one_point():
    assert not embed(np.ones((20, 6), np.float32)).any()


def test_places_are_the_same_each_time_and_groups_of_features_stay_together():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 12)).astype(np.float32)
    features[30:] += 20
    places = embed(features)
    assert np.array_equal(embed(features), places)
    middle = places[:30].mean(axis=0), places[30:].mean(axis=0)
    assert np.linalg.norm(middle[0] - middle[1]) > places[:30].std()


def test_spread_keeps_first_and_last_of_many_frames():
    kept = spread(20_000, 2000)
    assert (len(kept), kept[0], kept[-1]) == (2000, 0, 19_999)


def test_blank_values_are_left_out_of_a_learning_curve():
    rows = [{"epoch": 0, "val_loss": ""}, {"epoch": "1", "val_loss": "0.5"}, {"epoch": 2}]
    assert [part.tolist() for part in series(rows, "val_loss")] == [[1.0], [0.5]]


@pytest.mark.parametrize(("count", "classes"), [(40, 2), (40, 12), (1, 2)])
def test_standard_set_is_drawn_the_same_each_time(tmp_path, count, classes):
    scored, features = invent(count, classes)
    names = [f"class {n} " + "long " * 9 * (n % 2) for n in range(classes)]
    for folder in ("one", "two"):
        draw_all(scored, features, names, HISTORY, tmp_path / folder, SMALL)
    files = {path.name for path in (tmp_path / "one").iterdir()}
    standard = ("confusion", "roc", "pr", "reliability", "tsne", "learning")
    assert files == {f"{name}.png" for name in standard}
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_truth_of_one_class_is_drawn(tmp_path):
    scored, _ = invent(10, 2)
    alone = Scored(scored.probs, np.zeros(10, np.int64), scored.groups, scored.sources)
    paths = draw_all(alone, None, ["a", "b"], [], tmp_path, "one class")
    assert [path.stem for path in paths] == ["confusion", "roc", "pr", "reliability"]


def test_page_has_its_size_at_its_resolution_and_a_banner_changes_it(tmp_path):
    confusion = np.array([[3, 1], [0, 2]])
    draw_confusion(confusion, ["a", "b"], tmp_path / "a.png", Caption("x", dpi=100))
    draw_confusion(confusion, ["a", "b"], tmp_path / "b.png", Caption("x", "TRAINING DATA", 100))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (360, 290)
        assert "Software" not in picture.info
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_names_that_the_font_cannot_draw_become_question_marks():
    assert drawable("über\n\u5065 $x$") == "über?? $x$"
    assert short("a" * 100, 11) == "aaaaa…aaaaa"


def test_v23_odd_names_are_drawn(tmp_path):
    names = ["$\\frac{1}{2}$", "\u202e\u5065\U0001f600"]
    draw_confusion(np.eye(2, dtype=np.int64), names, tmp_path / "a.png", Caption("$ _x^", "$$", 50))
    assert (tmp_path / "a.png").stat().st_size > 0


def test_bars_show_undefined_figures_too(tmp_path):
    bars = [Bar("elbow", 9, Figure(0.9, 0.8, 0.95), 0.93), Bar("hand", 0, None)]
    draw_bars(bars, "sensitivity", tmp_path / "a.png", SMALL)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (280, 99)


@pytest.mark.parametrize("count", [1, 7])
def test_maps_are_drawn_over_their_pictures(tmp_path, count):
    pictures = np.full((count, 40, 60, 3), 90, np.uint8)
    maps = np.full((count, 7, 7), -1, np.float32)
    draw_maps(pictures, maps, ["x"] * count, 1.0, tmp_path / "none.png", SMALL)
    draw_maps(pictures, -maps, ["x"] * count, 1.0, tmp_path / "all.png", SMALL)
    assert (tmp_path / "none.png").read_bytes() != (tmp_path / "all.png").read_bytes()


def test_several_runs_are_drawn_over_each_other(tmp_path):
    history = [{**row, "run": run} for run in ("fold 0", "fold 1") for row in HISTORY]
    draw_learning(history, tmp_path / "a.png", SMALL)
    draw_learning([{"epoch": 0, "val_f1": 0.5}], tmp_path / "b.png", SMALL)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_both_lines_of_a_title_above_a_map_stay_whole():
    assert shorten_title("humerus negative\n(is wrist positive)").count("…") == 0
