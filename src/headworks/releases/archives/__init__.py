"""Releases as files that travel."""
