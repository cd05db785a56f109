"""Pictures for people who judge a model: one PNG per function, from plain arrays."""
