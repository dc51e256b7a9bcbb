"""Users of a run are asked, as they were at a moment, without leaving a trace."""
