"""Networks, data sets, training and mapping. Never imported on a device."""
