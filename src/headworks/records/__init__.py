"""The write side: usage, spans, audit; everybody writes, nobody below reads."""
