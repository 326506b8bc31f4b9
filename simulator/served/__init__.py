"""The lab behind sockets on this machine, and the same faces in process."""
