"""Inbound dialects: bytes of a client in, a call; events out, bytes of the same dialect."""
