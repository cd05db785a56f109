"""A synthetic B-mode source: seeded, deterministic, with the truth for every frame."""

from stream.sources.phantom.reader import PhantomReader, open_phantom
from stream.sources.phantom.scene import MIN_FINDING_SHARE, PhantomScene
from stream.sources.phantom.spec import FINDINGS, PhantomSpec, parse_phantom

__all__ = [
    "FINDINGS",
    "MIN_FINDING_SHARE",
    "PhantomReader",
    "PhantomScene",
    "PhantomSpec",
    "open_phantom",
    "parse_phantom",
]
