"""Evaluation: datasets, scorers, judges, experiments and gates."""
