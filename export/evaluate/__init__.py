"""Measures a bundle through the runtime, so that what is measured is what runs in the field."""
