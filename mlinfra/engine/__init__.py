"""The only room that talks to Pulumi: the language host, the engine's process, its events, its failures.

A run goes this way. `session` opens the stack: a work folder with its settings, and the state backend behind its seam.
`run` starts the `pulumi` command with `--client` pointing at our `host`, which answers the engine's call to run the
program by registering the graph (`registration`), and with `--event-log` into a pipe that `events` reads. What ended
badly becomes diagnostics in `failures`.
"""
