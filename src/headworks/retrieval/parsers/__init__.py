"""Files to text with headings, each in a limited child process."""
