"""A security scan of a stack on the local target, beside what its blueprint waives. See `audit/prowler.py`."""
