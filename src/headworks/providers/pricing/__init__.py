"""What calls cost: rates, tables and where they come from. `providers/prices.py` is the face."""
