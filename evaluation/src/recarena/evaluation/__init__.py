"""What happened in a run: metrics, tests and reports read from run folders."""
