"""Both ends of the wire: messages, topics, the device's outbox and uplink, and the server."""
