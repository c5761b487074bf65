"""The verbs: load → resolve → compile → check → run → record, one module a verb. Nothing here prints."""
