"""Servers, recommenders and worlds that a command starts and plays."""
