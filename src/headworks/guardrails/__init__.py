"""What is checked in a caller's text and in passages."""
