"""`headworks demo`: a folder of documents in, cited answers out, told step by step."""
