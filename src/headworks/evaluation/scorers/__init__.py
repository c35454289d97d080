"""Scorers: what an output is worth, one small file for each family."""
