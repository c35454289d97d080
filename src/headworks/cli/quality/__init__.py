"""How good a collection's search is: golden queries asked through the server, and what came of it."""
