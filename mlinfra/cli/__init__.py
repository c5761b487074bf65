"""The command line: parse, call the workflow, choose the view, give the exit code. Nothing is decided here."""
