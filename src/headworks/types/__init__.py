"""The words that every part speaks: frozen dataclasses, pure methods at most, no I/O."""
