"""Hosts as they were captured: frozen values read from the text of the commands that every Open vSwitch host has.

Owns what a captured host is and how each command's output is read. It must never run a command or open a file: it is
given texts by `warren.sources`. What it cannot read becomes a `Problem` with file, line and column; the rest is read.
"""
