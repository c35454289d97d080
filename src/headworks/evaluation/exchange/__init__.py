"""Suites, datasets and results of other tools: read, and written so that they read them."""
