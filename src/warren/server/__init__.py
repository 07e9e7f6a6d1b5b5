"""The API server: Networking API v2.0, an embedded identity service, and every host's desired state as a stream."""
