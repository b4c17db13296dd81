"""The device's commands, one file a subject."""
