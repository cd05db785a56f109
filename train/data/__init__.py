"""Labelled frames: how they are read, held apart and decoded."""
