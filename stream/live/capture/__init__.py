"""Capture: from the source to what may leave, and on its way."""
