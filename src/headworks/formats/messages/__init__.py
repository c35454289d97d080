"""Anthropic's Messages: read and written, whole and streamed."""
