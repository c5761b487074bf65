"""The tools, as the end-to-end tests have them."""

from tests.e2e.conftest import tools

__all__ = ["tools"]
