"""The base of every error that a person may see as one line."""

from __future__ import annotations


class SonostreamError(Exception):
    """One clear line about something that a person can mend.

    Parameters
    ----------
    subject : what the error is about, such as a file name
    problem : what is wrong, with the value seen
    remedy : what to do or what would be right
    fault : id in ``docs/faults-and-bad-inputs.md`` such as ``"V01"``, or empty

    Attributes
    ----------
    exit_code : exit status of the command line for this kind of error
    """

    exit_code = 70

    def __init__(self, subject: str, problem: str, remedy: str = "", *, fault: str = "") -> None:
        super().__init__(subject, problem, remedy, fault)
        self.subject, self.problem, self.remedy, self.fault = subject, problem, remedy, fault

    def __str__(self) -> str:
        mark = f"[{self.fault}]" if self.fault else ""
        tail = f"; {self.remedy}" if self.remedy else ""
        return f"error{mark} {self.subject}: {self.problem}{tail}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.subject, self.problem, self.remedy, self.fault)


def _rebuild(
    kind: type[SonostreamError], subject: str, problem: str, remedy: str, fault: str
) -> SonostreamError:
    return kind(subject, problem, remedy, fault=fault)


def runtime_fault(error: Exception) -> str:
    """Tell a full memory (F05) and a device that fails (F06) by a runtime's words; else empty."""
    text = str(error).lower().replace("_", " ")
    no_room = ("out of memory", "allocate memory", "bad alloc")
    if isinstance(error, MemoryError) or any(words in text for words in no_room):
        return "F05"
    return "F06" if any(words in text for words in ("cuda", "cudnn", "cublas")) else ""


class EngineError(SonostreamError):
    """A model or engine was refused or failed."""

    exit_code = 5
