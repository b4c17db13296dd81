"""The server's HTTPS for devices: enrolment, renewal, the time; documents and photos find their place here too."""
