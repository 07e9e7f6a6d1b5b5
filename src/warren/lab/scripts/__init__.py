"""Shell scripts that run inside hosts and instances, as files of their own so that they can be read and checked."""
