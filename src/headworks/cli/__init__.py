"""One file per command group, each a thin call to a service."""
