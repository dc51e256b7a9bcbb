"""The RecArena wire contract, version 1: generated messages and stubs."""
