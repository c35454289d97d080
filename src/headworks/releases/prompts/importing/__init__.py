"""Prompts of other tools, each format read into one draft."""
