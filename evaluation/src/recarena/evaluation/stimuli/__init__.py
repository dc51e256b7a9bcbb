"""What explanations are judged on: triples from real exposures, and what is told of them."""
