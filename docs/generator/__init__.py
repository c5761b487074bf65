"""Writes `docs/reference/` from the models: `python -m docs.generator`, or `make docs`.

Everything on the pages is read from the code that it documents: fields from the pydantic models, commands from typer,
tiers from their table, codes from the source. A test compares the pages with what this package gives now.
"""
