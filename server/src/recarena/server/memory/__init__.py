"""What users remember."""
