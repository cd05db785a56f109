"""Calibration: makes scores honest about probability. Numpy only."""
