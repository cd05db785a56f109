"""What may leave the machine: pictures without their surroundings, no text, no names."""

from stream.report.privacy.policy import ExportPolicy, ExportRefused
from stream.report.privacy.protect import PROVENANCE, protect

__all__ = ["PROVENANCE", "ExportPolicy", "ExportRefused", "protect"]
