"""Sonostream: frames and time. Sources, analysis, sessions, reports and the `stream` command."""

__version__ = "0.1.0"
