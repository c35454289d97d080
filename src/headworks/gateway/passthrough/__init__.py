"""Requests that pass through byte for byte: images, audio, files and batches."""
