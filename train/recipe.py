"""A recipe: everything one training run can be told, checked when read.

A recipe file describes a study: what is common, its variants (networks to compare) and its
profiles (`original`, what the authors did; `sound`, our default). `train.study` reads the file;
each variant becomes one flat `Recipe`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engines.spec import Fit
from train.data.layout import Layout

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=1)]
Degrees = Annotated[float, msgspec.Meta(ge=0, le=45)]

FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")]

Frozen = Literal["early", "all", "none"]
Method = Literal[
    "cam",
    "grad-cam",
    "gradient",
    "gradient-saturation",
    "integrated-gradients",
    "smooth-grad",
    "lime",
]
"""What can explain a frame; the keys of `train.attribution.methods.METHODS`."""


class Augment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a training view may differ from its frame; zero switches a change off.

    Parameters
    ----------
    flip : probability of a left-right mirror, where the anatomy allows it
    rotate_deg : largest rotation either way
    zoom : largest relative change of scale either way, about the centre
    shift : largest displacement as a share of the side
    contrast : largest relative change of contrast, brightness and gamma
    speckle : largest standard deviation of multiplicative noise
    soften : probability of losing resolution, down to a third
    tint : probability of another colour map, half of the time grey
    erase : probability of blanking a rectangle in a corner
    shear_deg : largest shear either way
    depth : largest relative change of scale either way, about the probe's surface (top centre)
    gain_curve : largest relative gain of a smooth random curve over depth
    keep_sector : probability that what was outside the frame's sector stays black
    """

    flip: Share = 0.5
    rotate_deg: Degrees = 12.0
    zoom: Share = 0.15
    shift: Share = 0.08
    contrast: Share = 0.25
    speckle: Share = 0.15
    soften: Share = 0.3
    tint: Share = 0.0
    erase: Share = 0.3
    shear_deg: Degrees = 0.0
    depth: Share = 0.0
    gain_curve: Share = 0.0
    keep_sector: Share = 0.0


class PhantomSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which generated clips make the data.

    Parameters
    ----------
    organ : organ of the classes
    train, validation, test : numbers of seeds in each part; parts never share a seed
    frames_per_clip : frames taken from each clip, evenly spaced
    others : organs that only widen the gate statistics
    """

    organ: str
    train: Positive
    validation: Positive
    test: Positive
    frames_per_clip: Positive
    others: tuple[str, ...] = ()


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How frames are held out.

    Parameters
    ----------
    kind : ``folds`` cross-validates over the column fold; ``given`` takes the parts named train,
        validation (or val) and test in the column split or the folders, and draws what the data do
        not name; ``random`` draws all
    by : ``group`` keeps people, clips and near-copies together; ``image`` does not
    validation, test : shares of all frames, where they have to be drawn
    given_val_is : what a given part named val (or validation) is used for when no part is named
        test
    """

    kind: Literal["folds", "given", "random"] = "random"
    by: Literal["group", "image"] = "group"
    validation: Share = 0.14
    test: Share = 0.30
    given_val_is: Literal["validation", "test"] = "validation"


class HeadPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands between the backbone's last map and the logits; see `train.nets.heads.Head`.

    Parameters
    ----------
    moments : add the squared deviation of each channel from its mean over the map, so that the
        average over the map knows the texture's strength, not only its mean
    norm : layer normalisation over channels
    conv : channels of a 3 x 3 convolution with ReLU, 0 for none
    pad : whether that convolution keeps the size of the map
    max_pool : side of non-overlapping maximum pooling, 1 for none
    pool : then the average over the map, or all cells in a row
    hidden : widths of fully connected layers with ReLU
    single : one output unit for two classes, as with binary cross-entropy
    drop_once : dropout before the first fully connected layer only, not before each
    """

    moments: bool = False
    norm: bool = False
    conv: Count = 0
    pad: bool = True
    max_pool: Positive = 1
    pool: Literal["average", "flatten"] = "average"
    hidden: tuple[Positive, ...] = ()
    single: bool = False
    drop_once: bool = False


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Early stopping on validation loss: after `patience` epochs without a gain of `min_delta`."""

    min_delta: Share = 0.01
    patience: Positive = 5


class Plateau(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lowers the learning rate by `factor` after `patience` epochs without a lower loss."""

    factor: Rate = 0.1
    patience: Positive = 3


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything one training can be told; one variant of a study.

    Parameters
    ----------
    name : of the study, the model and the run folder
    variant, profile : which part of the study this is
    classes, positive_class, fit : as in `engines.spec.ModelSpec`
    target : what is learned, the class or the region of the body
    regions : regions of the body that a cascade tells apart first, or empty
    backbones : timm names, or ``small-cnn``; the maps of several are joined
    frozen : ``all`` keeps the backbone as it is, ``none`` trains it whole, ``early`` keeps the
        first three stages of a MobileNetV2, or all it uses where only the head is fitted
    input_px : side of the model input
    views : stored views of each training frame, the first one unchanged; of use only where
        something is frozen, otherwise every draw is a new view
    epochs, batch : of the optimiser
    draws : frames drawn per epoch, equally often from each class and, within it, each clip; 0 for
        every frame once
    optimizer : AdamW in one cycle of the rate, or plain Adam
    method : gradient descent; logistic regression on the average of the map; or a linear support
        vector machine on the flattened map
    inverse_penalty : of the latter two, scikit-learn's C, with weights that sum to the frames
    learning_rate, weight_decay : of the optimiser
    label_smoothing, mixup, drop : regularisation; `mixup` is the Beta parameter, 0 for none
    average : decay per step of the averaged weights that are kept, 0 for none
    neck : channels of a finer feature map at an eighth of the input, 0 for the network's own
    stages : stages of the backbone to use, of 7; later ones are more about objects than texture
    head : what follows the backbone
    point : weight of the loss that draws the positive map's peak onto the finding's mask
    tune_norms : True when batch normalisation uses and updates batch statistics
    class_weights : weigh the loss by the inverse of class counts
    keep : weights of the last epoch or of the epoch with the lowest validation loss
    stop, plateau : early stopping, lower rate on a plateau; None for neither
    seed : of everything that is random
    licence, intended_use : written into the model
    data : how labels are written in the data
    split, augment : how frames are held out, and how views differ
    phantom : generated data, or None when the data is a table of frames
    figures : drawn besides the standard set
    attribution : methods drawn for the frames that matter most
    published : figures of the system this recipe rebuilds, by name
    published_where : where they come from
    """

    name: FileName
    variant: FileName
    profile: FileName
    classes: tuple[str, ...]
    positive_class: str
    fit: Fit = "letterbox"
    target: Literal["label", "region"] = "label"
    regions: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ("mobilenetv2_100",)
    frozen: Frozen = "early"
    input_px: Annotated[int, msgspec.Meta(ge=32, le=1024)] = 224
    views: Positive = 12
    epochs: Positive = 10
    batch: Annotated[int, msgspec.Meta(ge=2)] = 32
    draws: Count = 600
    optimizer: Literal["adamw-cycle", "adam"] = "adamw-cycle"
    method: Literal["gradient", "logistic", "svc"] = "gradient"
    inverse_penalty: Rate = 1e-3
    learning_rate: Rate = 1e-3
    weight_decay: Share = 0.05
    drop: Share = 0.3
    label_smoothing: Share = 0.1
    mixup: Share = 0.0
    average: Share = 0.0
    neck: Count = 0
    stages: Annotated[int, msgspec.Meta(ge=4, le=7)] = 7
    head: HeadPlan = HeadPlan()
    point: Share = 0.0
    tune_norms: bool = True
    class_weights: bool = False
    keep: Literal["last", "best"] = "last"
    stop: Stop | None = None
    plateau: Plateau | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0
    licence: str
    intended_use: str
    data: Layout = Layout()
    split: Split = Split()
    augment: Augment = Augment()
    phantom: PhantomSet | None = None
    figures: tuple[Literal["activations"], ...] = ()
    attribution: tuple[Method, ...] = ()
    published: dict[str, float] = {}
    published_where: str = ""

    @property
    def positive(self) -> int:
        """Place of the positive class."""
        return self.classes.index(self.positive_class)

    @property
    def layout(self) -> Layout:
        """How labels are written; a class's own name always counts."""
        own = {name: name for name in self.classes}
        return msgspec.structs.replace(self.data, labels=own | self.data.labels)

    @property
    def whole(self) -> bool:
        """Whether every parameter is trained, so that nothing can be stored in advance."""
        return self.frozen == "none"

    def quickened(self) -> Recipe:
        """Return a tiny version that shows the whole path runs; its figures mean nothing."""
        small = self.phantom and msgspec.structs.replace(
            self.phantom, train=6, validation=4, test=4, frames_per_clip=2
        )
        return msgspec.structs.replace(
            self, epochs=min(self.epochs, 2), views=2, draws=32, batch=8, phantom=small
        )
