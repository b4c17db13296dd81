"""Planning a visit: the block's trees, what is known of them, how many and which to photograph, the walk to them."""
