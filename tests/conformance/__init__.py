"""Programs of all languages for the conformance kit."""
