"""Models: encoders and what they read, and the baseline that only remembers."""
