"""What the API allows: one file per resource, each rule a pure question to a snapshot that answers a Change."""
