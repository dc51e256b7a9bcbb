"""Users who are played by people."""
