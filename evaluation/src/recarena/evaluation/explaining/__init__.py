"""Explanations, judged by simulated users."""
