"""What a `Database` is told: names, versions, windows of time, and the rules that RDS has for them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

SqlName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
"""A name in SQL that needs no quotes (PostgreSQL, "Identifiers and Key Words")."""


def _not_reserved(name: str) -> str:
    if name.startswith(("pg_", "rds")) or name in ("admin", "all", "user"):
        raise ValueError(
            f"{name!r} is reserved: RDS takes no master user of a name that is a word of PostgreSQL's, or that begins "
            "with rds or pg_ (RDS API reference, CreateDBInstance)"
        )
    return name


User = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,15}$"), AfterValidator(_not_reserved)]
"""The name of the master user (RDS API reference, `CreateDBInstance`)."""

_OURS: Final = {
    *("config_file", "data_directory", "external_pid_file", "hba_file", "ident_file"),
    *("listen_addresses", "port", "unix_socket_directories"),
}


def _not_ours(name: str) -> str:
    if name in _OURS:
        raise ValueError(
            f"{name!r} is not for you to set: the component says where the server listens and where its files are"
        )
    return name


Parameter = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$"), AfterValidator(_not_ours)]
"""The name of a setting of PostgreSQL."""

Version = Annotated[str, Field(pattern=r"^1[4-8](\.\d{1,2})?$")]
"""A version of PostgreSQL, the minor one or not."""

InstanceClass = Annotated[str, Field(pattern=r"^db\.[a-z0-9-]+\.[a-z0-9]+$")]
"""An RDS instance class."""

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = r"([01]\d|2[0-3]):[0-5]\d"
_DAY: Final = f"({'|'.join(_DAYS)})"
BackupWindow = Annotated[str, Field(pattern=f"^{_CLOCK}-{_CLOCK}$")]
MaintenanceWindow = Annotated[str, Field(pattern=f"^{_DAY}:{_CLOCK}-{_DAY}:{_CLOCK}$")]

_DAY_MINUTES: Final = 24 * 60
_SHORTEST: Final = 30


def check_windows(backup: str, maintenance: str) -> None:
    """Raise `ValueError` for windows that RDS does not take: RDS API reference, `CreateDBInstance`."""
    daily = _minutes(*backup.split("-"), period=_DAY_MINUTES)
    weekly = _minutes(*maintenance.split("-"), period=7 * _DAY_MINUTES)
    for name, minutes in (("backup_window", daily), ("maintenance_window", weekly)):
        if len(minutes) < _SHORTEST:
            raise ValueError(f"{name} is shorter than {_SHORTEST} minutes (RDS API reference, CreateDBInstance)")
    if len(weekly) > _DAY_MINUTES:
        raise ValueError('maintenance_window is longer than a day (RDS user guide, "Maintaining a DB instance")')
    if daily & {minute % _DAY_MINUTES for minute in weekly}:
        raise ValueError(
            f"backup_window {backup} and maintenance_window {maintenance} overlap, which RDS does not take "
            "(RDS API reference, CreateDBInstance)"
        )


def _minutes(begin: str, end: str, *, period: int) -> set[int]:
    """The minutes of a window, counted from midnight, or from Monday's; a window may go past the end of the period."""
    first, last = _minute(begin), _minute(end)
    return {(first + passed) % period for passed in range((last - first) % period)}


def _minute(moment: str) -> int:
    *day, hours, minutes = moment.split(":")
    return (_DAYS.index(day[0]) * _DAY_MINUTES if day else 0) + int(hours) * 60 + int(minutes)
