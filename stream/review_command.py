"""`stream review`: judge frames and clips on a page, compare readers, export labels."""

from __future__ import annotations

import getpass
import re
from pathlib import Path

from engines.load import load_model
from engines.open import DEMO_MODEL
from engines.probe import Watch
from stream import console
from stream.config import load_config
from stream.engine_flags import DEFAULT_FLAGS, EngineFlags, choose
from stream.errors import StorageError, UsageError
from stream.job import Job, model_used
from stream.replay import replay_clip
from stream.review.clip import open_clip
from stream.review.export import Wish, export_labels
from stream.review.serve import Sitting, serve
from stream.review.stored import open_stored, read_readers
from stream.session.manifest import MANIFEST, Manifest, read_manifest
from stream.sources.discover import PHANTOM, find_clips
from stream.sources.nursery import Nursery
from stream.sources.open import source_info


def review(
    things: list[str],
    /,
    *,
    reader: str | None = None,
    blind: bool = False,
    group: str = "",
    agreement: bool = False,
    export: Path | None = None,
    mask: bool = True,
    accept_text: str = "",
    port: int = 0,
    browser: bool = True,
    model: Path = DEMO_MODEL,
    engine: EngineFlags = DEFAULT_FLAGS,
    out: Path = Path("sessions"),
    json: bool = False,
) -> int:
    """Judge the frames of a session on a page in the browser; only this machine can reach it.

    Labels and film lie beside the session in SESSION.review, one file of labels per reader.
    Ctrl-C ends the review; every action was saved when it was shown.

    Parameters
    ----------
    things
        A session folder, or a clip, which is analysed first. With `--agreement` or `--export`,
        any number of session folders.
    reader
        Name of the reader, for the file of labels; the name of the user by default.
    blind
        Show nothing that the model said.
    group
        Who the clip shows, as a pseudonym: clips of one person need the same one, so that
        `stream train` keeps them on one side. The clip itself by default.
    agreement
        Say how far the readers agree, in place of a review.
    export
        Write the reader's labels and their frames into this new folder for `stream train`.
    mask
        Cut away what lies outside the fan in exported frames.
    accept_text
        Export frames in which text was found all the same; say who accepts that and why.
    port
        Port of the page; any free one by default.
    browser
        Open a browser.
    model
        ONNX model that analyses a clip.
    engine
        Which engine answers.
    out
        Folder for the session of a clip.
    json
        Print the agreement as JSON.
    """
    name = reader or _user()
    if agreement or export:
        folders = [_stored(thing) for thing in things]
        if export:
            return _export(folders, Wish(name, export, mask, accept_text))
        return _agree(folders, json)
    if len(things) != 1:
        raise UsageError("review", f"{len(things)} things given", "give one session or clip")
    _check_group(group)
    folder = _session(things[0], model, engine, out)
    sitting = Sitting(name, group, blind, port, browser, engine.cache)
    serve(open_clip(folder), sitting, lambda address: console.say(f"review: {address}"))
    return 0


def _export(folders: list[Path], wish: Wish) -> int:
    with console.progress("export") as tick:
        count = export_labels(folders, wish, lambda done: tick(None))
    console.say(f"{wish.out / 'frames.csv'}: {count} labelled frames of {len(folders)} sessions")
    return 0


def _agree(folders: list[Path], json: bool) -> int:
    from stream.review.agreement import COLUMNS, compare_readers, describe

    sessions = {str(folder): read_readers(open_stored(folder)) for folder in folders}
    readers = {name for labels in sessions.values() for name in labels}
    if len(readers) < 2:
        problem = f"labels of {len(readers)} readers: {', '.join(sorted(readers)) or 'none'}"
        raise UsageError("agreement", problem, "two readers or more are needed")
    found = compare_readers(sessions)
    if json:
        console.show_json(found)
    else:
        console.show_table("Agreement of readers", COLUMNS, describe(found))
    return 0


def _stored(thing: str) -> Path:
    if not (Path(thing) / MANIFEST).is_file():
        raise UsageError(thing, "is no session folder", "review the clip first")
    return Path(thing)


def _check_group(group: str) -> None:
    if group and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", group):
        remedy = "1 to 64 letters, digits, ., - or _; a pseudonym, never a name"
        raise UsageError(f"group {group!r}", "cannot be used", remedy, fault="C08")


def _user() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:40] or "reader"


def _session(thing: str, model: Path, engine: EngineFlags, out: Path) -> Path:
    """Return the folder of a session; a clip that was not analysed before is analysed now."""
    if (Path(thing) / MANIFEST).is_file():
        return Path(thing)
    clips = find_clips([thing])
    if len(clips) != 1:
        raise UsageError(thing, f"holds {len(clips)} clips", "give one of them")
    found = _find_session(clips[0], model, out)
    return found if found is not None else _analyse(clips[0], model, engine, out)


def _find_session(clip: str, model: Path, out: Path) -> Path | None:
    """Return a finished session of the same clip and model, so that its labels are found again."""
    info, _ = source_info(clip)
    digest = load_model(model).digest
    for path in sorted(out.glob(f"*/{MANIFEST}")):
        try:
            manifest = read_manifest(path.parent)
        except StorageError:
            continue
        same = _is_same_input(manifest, clip, info.sha256)
        done = manifest.complete and manifest.files and manifest.live is None
        if same and manifest.model.digest == digest and done:
            return path.parent
    return None


def _is_same_input(manifest: Manifest, clip: str, sha256: str) -> bool:
    if clip.startswith(PHANTOM):
        return manifest.input.uri == clip
    return bool(sha256) and manifest.input.info.sha256 == sha256


def _analyse(clip: str, model: Path, engine: EngineFlags, out: Path) -> Path:
    with Nursery() as nursery:
        given = load_model(model)
        chosen = choose(given, engine)
        try:
            job = Job(
                chosen.engine,
                model_used(chosen, given, model),
                load_config(None, {}),
                nursery=nursery,
                watch=Watch(chosen.engine, chosen.probe),
            )
            with console.progress(Path(clip).name) as tick:
                done = replay_clip(clip, job, out, lambda source: tick(source.info.frame_count))
        finally:
            chosen.engine.close()
    if done.withdrawn:
        problems = "; ".join(done.manifest.problems)
        raise StorageError(str(done.folder), f"the engine failed: {problems}")
    return done.folder
