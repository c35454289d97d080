"""Alembic migrations whose bodies are SQL."""
