"""Makes model bundles: ONNX graph, half-precision weights, parity, manifest."""
