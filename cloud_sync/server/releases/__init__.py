"""Releases of models: a TUF repository in the server's folder, and what may enter it."""
