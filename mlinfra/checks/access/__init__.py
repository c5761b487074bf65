"""Who may do what, found out from policies as data: no AWS is asked, and no component.

The policies are those that stand in a graph: of roles, users and groups, of buckets, queues and secrets, of keys. What
is decided here errs to one side: where something cannot be known before it happens (a condition on the caller's
address, a policy that is kept elsewhere), access is taken to be possible, and what it depends on is told.

- `patterns`: texts with wildcards, and whether some text is allowed and not denied;
- `policies`: policy documents as statements;
- `conditions`: what a statement's conditions come to for a caller;
- `symbols`: the names and ARNs that nodes will have;
- `principals`: roles, users and groups of a graph with their policies;
- `deciding`: one principal, one action, one set of resources;
- `keys`: who may decrypt with a key.
"""
