"""A release asked every example of a dataset, and compared with another."""
