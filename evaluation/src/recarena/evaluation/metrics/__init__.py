"""What recommenders achieved, in numbers."""
