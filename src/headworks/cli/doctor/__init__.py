"""What `headworks doctor` looks at."""
