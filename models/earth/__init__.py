"""Satellite and weather data: catalogues and files in, reflectance, composites and a device's season file out."""
