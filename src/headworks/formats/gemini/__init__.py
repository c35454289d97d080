"""Google's generateContent: requests written, answers and streams read."""
