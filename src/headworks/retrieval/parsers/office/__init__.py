"""The formats of office programs."""
