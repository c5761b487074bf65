from __future__ import annotations

from mlinfra.providers.base import text
from mlinfra.providers.kubernetes.errors import ApiError, UnreachableError


def test_a_refusal_says_what_and_where() -> None:
    error = ApiError("PATCH", "/api/v1/pods/a?force=true", 422, {"message": "it is invalid", "reason": "Invalid"})
    assert text(error) == "it is invalid\nHTTP 422 to PATCH /api/v1/pods/a"
    assert (error.status, error.reason) == (422, "Invalid")


def test_a_refusal_that_is_no_status_object() -> None:
    assert ApiError("GET", "/x", 500, " oops\n").message == "oops"
    assert ApiError("GET", "/x", 500, "").message == "no explanation given"
    assert ApiError("GET", "/x", 500, {"details": None, "message": None}).causes == ()


def test_what_to_do_about_missing_rights() -> None:
    assert "Sign in" in text(ApiError("GET", "/x", 401, {}))
    assert "permission" in text(ApiError("GET", "/x", 403, {}))


def test_a_conflict_names_fields_and_managers() -> None:
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl"', "field": ".spec.replicas"}
    error = ApiError(
        "PATCH", "/x", 409, {"reason": "Conflict", "message": "Apply failed", "details": {"causes": [cause]}}
    )
    assert '\n  .spec.replicas: owned by "kubectl"\n' in text(error)
    assert "pulumi.com/patchForce" in text(error)


def test_an_absent_server() -> None:
    told = text(UnreachableError("https://10.0.0.1", "Connection refused"))
    assert told.splitlines()[:2] == [
        "the Kubernetes API server at https://10.0.0.1 cannot be reached",
        "Connection refused",
    ]
