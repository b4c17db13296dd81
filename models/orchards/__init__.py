"""Where the orchards are: labelled points and a raster of features in, a map with its accuracy and its areas out."""
