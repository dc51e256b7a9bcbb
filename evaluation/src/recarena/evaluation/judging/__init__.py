"""What judges replied, and what follows from it: contrasts, scales, gates, the report."""
