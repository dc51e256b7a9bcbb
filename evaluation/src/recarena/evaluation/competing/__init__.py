"""Competitions: planned before, played, resumed, reported, and played again by others."""
