"""Text as text: cut into passages, weighed word by word, and quoted to the letter. Pure functions."""
