"""Who calls: an embedded identity service with the part of the Identity API v3 that stock clients use."""
