"""The embedded providers: servers of Pulumi's ResourceProvider protocol for the local target."""
