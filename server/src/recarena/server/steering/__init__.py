"""Interventions at work: whether they can be, what they do to a world's data, how they are told."""
