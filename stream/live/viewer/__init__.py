"""The viewer: what it knows, what may be drawn now, when it draws."""
