"""PDF, and what is only a picture."""
