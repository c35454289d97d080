"""How good a ranking is: golden queries, measures, intervals, and two configurations side by side. Pure code."""
