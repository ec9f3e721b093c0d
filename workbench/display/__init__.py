"""Charts and tables that several tasks share, and what all are drawn with."""
