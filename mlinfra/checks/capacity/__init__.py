"""Capacity: what everything in a graph asks of machines, against what its pools have. No cluster is asked.

The way of the data: `workloads` finds what makes pods (`requests`: what one asks for, `neighbours`: what it wants of
others), `machines` what the pools have, `limits` the quotas; `ground` is all that together. `bounds` and `certain` say
what can never be, which is all that `check` asks for `validate`; `placing` and `survey` put pods onto machines;
`report` is the whole of it, and `record` what it is told in.

What `validate` loads has named tuples and plain classes: a dataclass takes about a millisecond to define, a named tuple
a fifth of that, and `validate` needs more than a dozen of them.
"""
