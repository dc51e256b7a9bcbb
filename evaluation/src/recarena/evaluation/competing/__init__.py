"""Competitions: planned before, played, resumed, and played again by others."""
