"""Who may read what: lists of readers, sections with their own, deny entries, and why."""
