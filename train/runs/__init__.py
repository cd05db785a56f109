"""Whole runs: variants trained and compared, the best exported and illustrated."""
