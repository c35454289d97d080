"""Prompts: `.prompty` files, and those of other tools."""
