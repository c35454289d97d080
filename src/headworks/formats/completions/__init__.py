"""OpenAI Completions, the legacy format: heard from callers, never spoken across formats."""
