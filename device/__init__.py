"""What runs in the field: counting, the store, the estimate, pages, and the virtual orchard."""
