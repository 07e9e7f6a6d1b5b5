"""iptables as text and as meaning: what a set of rules does to a packet, rule by rule.

Owns the reading of iptables-save(8) and `ipset save`, and their evaluation. It must never guess: a match or target that
is not modelled here is said to be so, with the rule.
"""
