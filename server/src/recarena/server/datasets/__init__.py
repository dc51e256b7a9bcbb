"""Worlds from data: the embedded catalogue, generated populations, loaders, world folders."""
