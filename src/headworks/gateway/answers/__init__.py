"""Attempts, and the answers that come of them."""
