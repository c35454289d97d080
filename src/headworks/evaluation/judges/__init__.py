"""Models as judges, and what is known of them."""
