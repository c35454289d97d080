"""Features, prompts, releases and channels: what is live."""
