"""What everything stands on: errors, paths, settings, sources, and the machine."""
