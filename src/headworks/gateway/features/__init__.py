"""The steps that only features have: their contract, guardrails, passages, prompts and citations."""
