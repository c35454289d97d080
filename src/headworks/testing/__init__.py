"""Public: what users need for tests of their own."""
