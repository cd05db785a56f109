"""What a person sees: the scene drawn into a window or onto a terminal."""
