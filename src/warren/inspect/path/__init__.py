"""What happens to a packet on its way through an estate: every table, bridge, tunnel, namespace and rule, both ways.

Owns the way between the parts; what one bridge does is the evaluator's business, what one rule does `filter`'s. It must
never guess: what a capture does not show, or what is not modelled, ends the trace with that verdict.
"""
