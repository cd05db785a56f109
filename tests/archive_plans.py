"""Plans of small archives."""

from __future__ import annotations

from pathlib import Path

from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.load import load_model
from stream.archive.engine import describe
from stream.archive.plan import Places, Plan, build_settings
from stream.config import AnalysisConfig
from tests.clips import write_clip
from tests.tiny_model import save_tiny


def make_plan(folder: Path) -> Plan:
    """Return the plan of an archive of a tree of one clip, for the tiny model."""
    (folder / "in").mkdir()
    write_clip(folder / "in" / "a.mp4", 5)
    (folder / "out").mkdir()
    path = save_tiny(folder)
    given = load_model(path)
    chosen = choose_engine(given, open_cache(folder / "cache"), Wanted(), print)
    answering = describe(chosen, given, path, folder / "cache")
    chosen.engine.close()
    settings = build_settings(answering, AnalysisConfig(), None, None, report=False)
    return Plan(Places(folder / "in", folder / "out"), answering, settings)
