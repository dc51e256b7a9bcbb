"""Reference recommenders, each a separate process that plays through the SDK."""
