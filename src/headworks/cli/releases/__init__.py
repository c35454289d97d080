"""`headworks release`: proposals, channels, archives, and how they are shown."""
