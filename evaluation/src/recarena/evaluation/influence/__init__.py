"""What users do to one another."""
