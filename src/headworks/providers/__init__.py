"""Who answers: one file per provider with behaviour, a row of catalog.toml for the others."""
