"""Tenants, principals, keys, roles, sessions; the only maker of a Principal."""
