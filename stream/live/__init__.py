"""Live analysis: capture, worker, recorder and viewer as processes, joined by ZeroMQ."""
