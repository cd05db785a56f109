"""What the processes say to each other: messages, their bytes, sockets, keys, shared memory."""
