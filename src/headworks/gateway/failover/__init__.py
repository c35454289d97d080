"""What failed, and what follows: the same target again, another one, or the error."""
