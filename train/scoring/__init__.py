"""What a model is worth: figures with intervals, and how it is measured."""
