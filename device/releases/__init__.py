"""Models that were released: verified, tried, installed, and taken back where they fail."""
