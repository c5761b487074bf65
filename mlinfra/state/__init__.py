"""Where stacks' states are kept, behind one seam: a `Backend` says how the engine reaches a state, and nothing more.

    engine ─HTTP→ front (http) → protocol (routes, requests, api_*) → store (stacks, updates, deployments) → database

The state service speaks the part of Pulumi Cloud's protocol that the stock engine uses, within the mlinfra process, on
SQLite or Postgres. Each layer knows the one below it alone: the front knows bytes, the protocol JSON and who asks, the
store rows and the rules that hold between them, the database how rows are committed. Beside them are `keys` (encryption
at rest), `owner` (who holds a stack, and whether they still live), `replay` (what a journal comes to), and `versions`
(every state that a stack has been in). `service` puts them together.
"""
