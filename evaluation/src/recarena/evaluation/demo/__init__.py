"""`recarena demo`."""
