"""The data doctor: what is wrong with labelled data before anything is trained on it."""

from train.audit.build import audit_rows
from train.audit.content import Audit
from train.audit.copies import Copy, find_copies
from train.audit.leaks import Leak, find_leaks, refuse_leaks
from train.audit.page import write_audit
from train.audit.summary import summarise_audit

__all__ = [
    "Audit",
    "Copy",
    "Leak",
    "audit_rows",
    "find_copies",
    "find_leaks",
    "refuse_leaks",
    "summarise_audit",
    "write_audit",
]
