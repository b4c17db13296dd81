"""Yields of counties and orchards from a season of satellite and weather data: table, networks, training."""
