"""Changes that are proposed, talked over and accepted."""
