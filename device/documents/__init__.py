"""What the server gives this device: kept, fetched and put to use."""
