"""The component kinds: one file each, with its fields, its checks, what it expands to and its outputs.

`values` holds what fields are made of, `access` who may read and write what, `workload` what all pods have in common,
`signals` what a component says about its own health; `registry` lists the kinds.
"""
