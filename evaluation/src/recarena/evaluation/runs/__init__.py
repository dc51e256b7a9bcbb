"""Run folders as numpy columns."""
