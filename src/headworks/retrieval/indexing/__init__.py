"""From the text of a document to what a generation of the index holds."""
