"""The recorder: journal, key frames, video, manifest, and the second analysis."""
