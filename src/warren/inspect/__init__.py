"""Read flow tables as a person would: parse, compare, explain, evaluate, follow a path, verify.

Pure: text and values in, values out. Whoever calls it reads files, starts `ovs-ofctl` and writes to the terminal.
"""
