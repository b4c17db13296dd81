"""Model bundles: making them (``build``), running them (``runtime``) and measuring them (``evaluate``)."""
