"""The backend: authority, broker files, ingest, database and what it holds."""
