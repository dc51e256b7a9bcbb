"""A competition as one HTML file that needs nothing else."""
