"""What is allowed: invariants that nothing can switch off."""
