"""Measurements of what the documentation promises: `./run bench`."""
