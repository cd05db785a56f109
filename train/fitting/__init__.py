"""From stored views to fitted weights, resumable and in several processes."""
