"""What happens to a frame: analyser, gate, smoothing, ranking, saliency, verdict."""
