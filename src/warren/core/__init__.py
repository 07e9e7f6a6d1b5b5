"""Values that every part shares: identities, names, errors and the desired state of one host. Pure."""
