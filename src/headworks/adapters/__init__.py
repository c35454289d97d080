"""Other frameworks' words for a search here: each module needs its framework, and talks to the server over HTTP."""
