"""The command line: parse, call the workflow, choose the view, give the exit code. Nothing is decided here."""

import gc
import os

# What loading makes lives as long as the command: looking through it for garbage at every 700 new objects costs
# `validate` 0.05 of its 0.6 s. It makes 70,000; a run of 1,000 resources, which is looked through, peaks no higher.
gc.set_threshold(100_000)

# Plugins of pydantic see every value that is validated, secrets too, and looking for them reads the metadata of every
# package that is installed.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
