"""The supervisor: processes, heartbeats, replacement, and what each process is told."""
