"""Before a competition: how many worlds it needs."""
