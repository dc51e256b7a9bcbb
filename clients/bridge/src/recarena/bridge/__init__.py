"""A recommender that asks an HTTP service: a TOML mapping says how."""
