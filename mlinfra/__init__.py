"""Provision machine-learning infrastructure from typed Python blueprints."""
