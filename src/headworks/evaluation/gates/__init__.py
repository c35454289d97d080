"""Whether a release may go live, and how surely."""
