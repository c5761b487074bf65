"""The resource types, grouped by service. A module's `RESOURCES` is what the registry takes from it."""
