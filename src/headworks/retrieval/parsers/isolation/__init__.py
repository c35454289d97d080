"""The child processes in which hostile files are read."""
