"""Intervals and comparisons whose unit is the world."""
