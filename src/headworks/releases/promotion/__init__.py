"""How a release reaches `prod`: the rule, what it looks at, and the moves."""
