"""The whole loop on one machine: a broker, a server and a device on loopback, and a block of sampled trees."""
