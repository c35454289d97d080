"""From files that are handed in to documents that are found."""
