"""Documents in, passages and citations out, each under the rights of who asks."""
