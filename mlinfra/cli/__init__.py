"""The command line: parse, call the workflow, choose the view, give the exit code. Nothing is decided here."""

import gc
import os

# What loading makes lives as long as the command: looking through it for garbage at every 700 new objects costs
# `validate` 0.05 of its 0.6 s, and looking once at 100,000 a preview 0.04 of its 2.
gc.set_threshold(300_000)

# Plugins of pydantic see every value that is validated, secrets too, and looking for them reads the metadata of every
# package that is installed.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
