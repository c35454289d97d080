"""Durable work on DBOS, behind one adapter."""
