"""`recarena compete`: a competition conducted from its plan to its report."""
