"""Messages that mean harm: how they are made, and what must hold whatever comes."""
