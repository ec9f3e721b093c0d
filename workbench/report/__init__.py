"""Run directories as HTML pages that open offline: one a run, and an index over all."""
