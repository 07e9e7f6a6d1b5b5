"""What is wrong with an estate: judged from its dumps alone, and against intent where it is known.

Owns the kinds of fault and how each is recognised. It must never call something wrong that a healthy Neutron or Warren
does; where a dump is missing, it says nothing of what the dump would have told.
"""
