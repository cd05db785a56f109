"""Compiled models: the model contract, preprocessing and one module per runtime. Arrays only."""
