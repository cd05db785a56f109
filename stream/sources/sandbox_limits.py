"""A system call filter: no new sockets, no new programs. Needs no privilege, only Linux."""

from __future__ import annotations

import ctypes
import platform
import struct
from typing import NamedTuple

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2
_LOAD_WORD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM
_X32_CALLS = 0x40000000
_CALL_AT, _MACHINE_AT = 0, 4  # offsets in struct seccomp_data


class Machine(NamedTuple):
    """Audit number of a processor and its calls socket, connect, execve, execveat, ptrace."""

    audit: int
    calls: tuple[int, ...]


_MACHINES = {
    "x86_64": Machine(0xC000003E, (41, 42, 59, 322, 101)),
    "aarch64": Machine(0xC00000B7, (198, 203, 221, 281, 117)),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_reaching_out() -> bool:
    """Refuse sockets and programs to this process from now on.

    Returns
    -------
    False where the kernel or the processor does not offer it; the other limits then stand alone

    References
    ----------
    Linux manual, seccomp(2) and struct sock_filter in linux/filter.h.
    """
    machine = _MACHINES.get(platform.machine())
    libc = ctypes.CDLL(None, use_errno=True)
    if machine is None or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    code = _filter(machine)
    program = _Program(len(code) // 8, code)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _filter(machine: Machine) -> bytes:
    """Assemble the filter; each instruction is code, jump if true, jump if false, operand."""
    count = len(machine.calls)
    steps = [
        (_LOAD_WORD, 0, 0, _MACHINE_AT),
        (_JUMP_EQUAL, 0, count + 3, machine.audit),
        (_LOAD_WORD, 0, 0, _CALL_AT),
        (_JUMP_GREATER_EQUAL, count + 1, 0, _X32_CALLS),
    ]
    for place, call in enumerate(machine.calls):
        steps.append((_JUMP_EQUAL, count - place, 0, call))
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
