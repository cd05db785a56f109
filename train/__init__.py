"""Training: recipes, data, models, export and evaluation. Only this room imports torch."""
