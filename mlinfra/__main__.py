"""`python -m mlinfra` is the command `mlinfra`."""

from mlinfra.cli.main import main

main()
