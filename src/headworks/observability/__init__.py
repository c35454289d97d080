"""The read side of records: traces."""
