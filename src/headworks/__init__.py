"""Headworks: one self-hosted platform for running LLM features in production."""

__version__ = "0.1.0"
