"""Signed statements about digests."""
