"""Language models: how they are asked, paced, paid for, recorded and read."""
