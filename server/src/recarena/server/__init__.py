"""The simulation server: a world of users, and the recommenders plugged into it."""
