"""Golden sets: files, versions, and what is wrong with them."""
