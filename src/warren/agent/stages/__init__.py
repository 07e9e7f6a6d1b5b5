"""The stages of a pass, in the order in which they run: a frame may pass only when everything before is in place."""
