"""Names of Kubernetes objects, labels and annotations: what the API server asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlinfra.checks.name_rule import NameRule

_NAMES: Final = "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"
_LABELS: Final = "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/"
ANNOTATIONS: Final = "https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/"
"""Where the rules for the keys of annotations stand."""
_DNS_LABEL: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_DNS_SUBDOMAIN: Final = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_QUALIFIED: Final = r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
_QUALIFIED_WORDS: Final = (
    "Letters, digits, hyphens, underscores and dots are allowed, with a letter or a digit at both ends"
)


def _subdomain(what: str, longest: int = 253, source: str = _NAMES) -> NameRule:
    words = "Lower-case letters, digits, hyphens and dots are allowed, with a letter or a digit around each dot"
    return NameRule(what, 1, longest, _DNS_SUBDOMAIN, f"{words} and at both ends (RFC 1123 subdomain)", source)


def _path_segment(name: str) -> str:
    return 'It must not be "." or ".."' if name in (".", "..") else ""


def _priority_class(name: str) -> str:
    return "Names that start with system- are reserved for Kubernetes" if name.startswith("system-") else ""


NAMESPACE: Final = NameRule(
    "namespace",
    1,
    63,
    _DNS_LABEL,
    "Lower-case letters, digits and hyphens are allowed, with a letter or a digit at both ends (RFC 1123 label)",
    _NAMES,
)
OBJECT: Final = _subdomain("object name")
SERVICE: Final = NameRule(
    "Service name",
    1,
    63,
    r"[a-z]([a-z0-9-]*[a-z0-9])?",
    "It starts with a lower-case letter; then lower-case letters, digits and hyphens, no hyphen at the end (RFC 1035)",
    "https://kubernetes.io/docs/concepts/services-networking/service/",
)
JOB: Final = _subdomain("Job name", 63, "https://kubernetes.io/docs/concepts/workloads/controllers/job/")
CRON_JOB: Final = _subdomain("CronJob name", 52, "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/")
ROLE: Final = NameRule(
    "RBAC name",
    1,
    253,
    r"[^/%]+",
    "It is a part of a URL's path, so / and % are not allowed",
    _NAMES,
    _path_segment,
)
PRIORITY_CLASS: Final = NameRule(
    "PriorityClass name",
    1,
    253,
    _DNS_SUBDOMAIN,
    OBJECT.words,
    "https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/",
    _priority_class,
)
LABEL_VALUE: Final = NameRule("label value", 0, 63, _QUALIFIED, _QUALIFIED_WORDS, _LABELS)
_KEY_NAME: Final = NameRule("name in a label key", 1, 63, _QUALIFIED, _QUALIFIED_WORDS, _LABELS)
_KEY_PREFIX: Final = _subdomain("prefix of a label key", source=_LABELS)

_BY_KIND: Final = {
    "Namespace": NAMESPACE,
    "Service": SERVICE,
    "Job": JOB,
    "CronJob": CRON_JOB,
    "Role": ROLE,
    "ClusterRole": ROLE,
    "RoleBinding": ROLE,
    "ClusterRoleBinding": ROLE,
    "PriorityClass": PRIORITY_CLASS,
}


def rule_for(kind: str, *, built_in: bool) -> NameRule:
    """The rule for the names of a kind; custom resources are named as most objects are."""
    return _BY_KIND.get(kind, OBJECT) if built_in else OBJECT


def broken_key(key: str, *, annotation: bool = False) -> Iterator[str]:
    """What is wrong with the key of a label or an annotation: `name`, or `prefix/name`. Annotations ignore case."""
    prefix, slash, name = key.rpartition("/")
    yield from _KEY_NAME.broken(name)
    if slash:
        yield from _KEY_PREFIX.broken(prefix.lower() if annotation else prefix)
