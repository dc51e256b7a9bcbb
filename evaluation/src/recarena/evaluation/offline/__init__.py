"""Recommenders measured on held-out ratings, beside the simulator."""
