"""MT-CYP-Net: yield and crop of every pixel from few labelled points."""
