"""The competition server: entrants dial in, are queued and played in hidden worlds, and ranked."""
