"""Small labelled data in the shapes of the published systems, from the phantom and drawn."""

from pathlib import Path

import cv2
import numpy as np
import openpyxl

from stream.sources.phantom import PhantomScene, parse_phantom
from train.command import Order

LUNG = ("covid", "pneumonia", "regular")


def phantom_stills(organ: str, finding: str, count: int, first_seed: int = 0) -> list:
    """Return one frame of each of `count` clips, with the finding in view where there is one."""
    stills = []
    for seed in range(first_seed, first_seed + count):
        scene = PhantomScene(parse_phantom(f"phantom:{organ}?seed={seed}&finding={finding}"))
        stills.append(scene.frame(7)[0])
    return stills


def write_stills(folder: Path, stills: list, stem: str = "frame") -> list[Path]:
    """Write pictures as PNG files and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}{number}.png" for number in range(len(stills))]
    for path, still in zip(paths, stills, strict=True):
        cv2.imwrite(str(path), still)
    return paths


def class_folders(root: Path, organ: str, names: dict[str, str], count: int) -> Path:
    """Write one folder per class; `names` maps a folder to the phantom's finding."""
    for number, (folder, finding) in enumerate(names.items()):
        write_stills(root / folder, phantom_stills(organ, finding, count, 100 * number))
    return root


def puj(root: Path) -> Path:
    """Two class folders."""
    return class_folders(root, "kidney", {"normal": "normal", "PUJ": "dilated"}, 14)


def auto_pcos(root: Path) -> Path:
    """Folders Healthy and Unhealthy."""
    return class_folders(root, "ovary", {"Healthy": "few", "Unhealthy": "many"}, 14)


def pcos_mobilenet(root: Path) -> Path:
    """An Excel sheet with the columns imagePath and Healthy, 1 = healthy."""
    sheet = openpyxl.Workbook()
    sheet.active.append(["imagePath", "Healthy"])
    for healthy, finding in ((1, "few"), (0, "many")):
        stills = phantom_stills("ovary", finding, 14, 100 * healthy)
        for path in write_stills(root / "images", stills, f"{finding}-"):
            sheet.active.append([path.relative_to(root).as_posix(), healthy])
    sheet.save(root / "class_label.xlsx")
    return root


def fibroid(root: Path) -> Path:
    """Folders train and test, each with UF and NUF."""
    for part, count, seed in (("train", 12, 0), ("test", 4, 500)):
        for folder, finding in (("UF", "fibroid"), ("NUF", "none")):
            stills = phantom_stills("uterus", finding, count, seed + 50 * (folder == "UF"))
            write_stills(root / part / folder, stills)
    return root


def mura_hybrid(root: Path) -> Path:
    """A MURA tree of drawn bones: the region is the slope, the finding a bright spot."""
    rng = np.random.default_rng(0)
    for region, slope in (("ELBOW", 0), ("HUMERUS", 60), ("WRIST", 120)):
        for patient in range(16):
            kind = "positive" if patient % 2 else "negative"
            study = root / f"XR_{region}" / f"patient{patient + 1:05}" / f"study1_{kind}"
            write_stills(study, [_bone(slope, kind == "positive", rng)], "image")
    return root


def _bone(slope: float, broken: bool, rng: np.random.Generator) -> np.ndarray:
    picture = rng.normal(40, 12, (128, 128)).clip(0, 255).astype(np.uint8)
    angle = np.deg2rad(slope + rng.normal(0, 5))
    middle, arm = 64 + rng.normal(0, 4, 2), 50 * np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(int(v) for v in middle + sign * arm) for sign in (-1, 1)]
    cv2.line(picture, ends[0], ends[1], 150, 14)
    if broken:
        cv2.circle(picture, tuple(int(v) for v in middle), 8, 255, -1)
    return picture


def lung(root: Path) -> Path:
    """Two folds, three classes, two people each, two stills per person; classes differ in grey."""
    rng = np.random.default_rng(0)
    rows = ["file,label,fold,source,frame,patient,licence"]
    for number in range(24):
        fold, label, person = number % 2, number // 2 % 3, number // 6 % 2
        picture = rng.normal(60 + 70 * label, 10, (90, 120)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"{number}.png"), picture)
        patient = f"{fold}{label}{person}"
        rows.append(f"{number}.png,{LUNG[label]},{fold},clip{patient},0,{patient},CC BY 4.0")
    (root / "frames.csv").write_text("\n".join(rows) + "\n")
    return root


BUILDERS = {
    "puj": puj,
    "pcos-mobilenet": pcos_mobilenet,
    "mura-hybrid": mura_hybrid,
    "auto-pcos": auto_pcos,
    "fibroid": fibroid,
    "lung": lung,
}


SIZES = {"auto-pcos": 224, "puj": 128}


def order(recipe, out, data=None, **changes):
    """Return the order of a quick run from random weights at a small size."""
    values = {"weights": "random", "quick": True, "input_px": SIZES.get(recipe, 96)} | changes
    return Order(recipe, data, Path(values.pop("weights")), out, **values)
