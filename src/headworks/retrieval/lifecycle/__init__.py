"""The life of documents after they were handed in."""
