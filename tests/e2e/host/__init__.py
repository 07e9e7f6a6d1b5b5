"""Makes this a package, so that its lab is taken down with its last test, and not with the last of all tests."""
