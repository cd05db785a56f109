"""Type stubs from the real bindings: what the generator writes, with its known faults mended."""

from __future__ import annotations

import ast
import re
from pathlib import Path

MENDS = (
    # A parameter may not be called "in" in Python, and after a default all need one.
    (r"\bin: ", "in_: "),
    (r"channel_axis: typing.SupportsInt\)", "channel_axis: typing.SupportsInt = ...)"),
    # The module has variables named like the built-in types.
    (r"(-> |: |\[|\| )(bool|int8)\b(?! :)", r"\1builtins.\2"),
    # "Python iterables are converted implicitly" (docstring of Dims).
    (r"(?m)^( +def .*)$", lambda match: _widen_dims(match.group(1))),
    (r"(?m)^class Dims:\n",
     "class Dims:\n    def __iter__(self) -> collections.abc.Iterator[int]: ...\n"),
    (r"(?m)^class IHostMemory:\n",
     "class IHostMemory:\n    def __buffer__(self, flags: int, /) -> memoryview: ...\n"),
    # TensorRT calls these with int; who overrides them may say so.
    (r"num_steps: typing.SupportsInt", "num_steps: int"),
    (r"step: typing.SupportsInt", "step: int"),
    # Documented as "None if there is no parent", "None if ... failed".
    (r"parent_phase: str\b", "parent_phase: str | None"),
)  # fmt: skip


def _widen_dims(signature: str) -> str:
    head, arrow, result = signature.partition(" -> ")
    return (
        re.sub(r": Dims(?=[,)])", ": Dims | collections.abc.Sequence[int]", head) + arrow + result
    )


def write_stubs(raw: Path, stub: Path) -> None:
    """Write the stub of the module `tensorrt` from the generator's output.

    Raises
    ------
    SyntaxError
        If the generator has made a fault that is not known here.
    """
    text = raw.read_text()
    for pattern, mended in MENDS:
        text = re.sub(pattern, mended, text)
    text = text.replace("import typing\n", "import builtins\nimport typing\n", 1)
    text += "__version__: str\n"
    ast.parse(text)
    stub.parent.mkdir(parents=True)
    stub.write_text(text)
