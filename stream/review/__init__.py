"""Review: a page on this machine's loopback in which readers judge frames and clips."""
