"""Calibration: makes models small, and scores honest about probability."""
