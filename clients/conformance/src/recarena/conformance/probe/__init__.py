"""Cases for authors of a client: they are played with a program that tells what it was told."""
