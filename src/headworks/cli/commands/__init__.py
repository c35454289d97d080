"""One file per command group; each is a thin call to the server or a service."""
