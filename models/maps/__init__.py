"""What maps of any kind share: grids and rasters, tiles, Cloud-Optimised GeoTIFFs, spatial blocks, resampling."""
