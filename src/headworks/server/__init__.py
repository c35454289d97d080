"""The ASGI server, the supervisor, health."""
