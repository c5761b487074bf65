"""Pulumi's gRPC protocols: messages, the values in them, servers for them. Nothing here knows AWS or Kubernetes."""
