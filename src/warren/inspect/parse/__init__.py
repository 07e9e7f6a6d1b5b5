"""From the text that Open vSwitch prints to values, and back. Unknown text is a `Problem`, never an exception."""
