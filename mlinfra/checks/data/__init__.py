"""What data a graph holds, for how long, where, encrypted with what, and who can read it.

A pure function of the graph, `data_report`; the record that it gives is what the views show. Nothing is taken from a
component's `reads`: what counts is what the policies come to, so that a role which somebody wrote by hand, or a
statement in a bucket's policy, shows like any other.
"""

from mlinfra.checks.data.record import DataReport, Reader, Retention, Store
from mlinfra.checks.data.report import data_report

__all__ = ["DataReport", "Reader", "Retention", "Store", "data_report"]
