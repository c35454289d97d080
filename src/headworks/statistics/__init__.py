"""Intervals, paired tests, sequential tests and judge correction: pure functions, without input or output."""
