"""What keeps a comparison from being made, told in one line."""

from __future__ import annotations


class DriftError(Exception):
    """No comparison can be made: a setting that is wrong, a profile or a log that cannot be read."""
