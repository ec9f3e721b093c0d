"""What a run leaves: its result, state and statistics, and the comparison of two."""
