"""Review: what people judge."""
