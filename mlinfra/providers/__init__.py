"""The embedded providers: servers of Pulumi's ResourceProvider protocol in this process, for the local target."""
