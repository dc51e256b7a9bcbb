"""Recommenders compared over worlds: the leaderboard, and how it is shown."""
