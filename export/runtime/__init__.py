"""Reads and runs model bundles. Needs no torch and imports nothing else of Pomona, so that it runs on any device."""
