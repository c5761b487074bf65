"""What a `TrainingVm` does whenever it starts: where its data is goes into the shell, and the idle timer starts.

User data that begins with `#cloud-boothook` runs at every start (cloud-init, "User data formats"; EC2 user guide, "Run
commands when you launch an EC2 instance"), so that a change takes effect with the restart that it comes with.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mlinfra.graph import Join, Value

IDLE: Final = Path(__file__).with_name("training_vm_idle.sh")
COMMAND: Final = "/usr/local/sbin/mlinfra-idle"
PROFILE: Final = "/etc/profile.d/mlinfra.sh"
_END: Final = "MLINFRA-END"

_SERVICE: Final = """[Unit]
Description=Stop this machine once nobody has used it for {minutes} minutes

[Service]
Type=oneshot
ExecStart={command} {minutes}
"""

_TIMER: Final = """[Unit]
Description=See every minute whether this machine is in use

[Timer]
OnBootSec=2min
OnUnitActiveSec=1min
AccuracySec=5s
"""


def user_data(variables: Mapping[str, Value], idle_minutes: int | None) -> Join:
    """The script: `variables` for login shells, and after how many minutes of idleness the machine stops itself."""
    units = "/etc/systemd/system/mlinfra-idle"
    exports: list[Value] = [part for name in sorted(variables) for part in (f"export {name}='", variables[name], "'\n")]
    parts: list[Value] = ["#cloud-boothook\n#!/bin/sh\n# Made by mlinfra; it runs at every start.\n"]
    parts += [f"cat >{PROFILE} <<'{_END}'\n", *exports, f"{_END}\n"]
    if idle_minutes is None:
        parts += [f"rm -f {units}.timer {units}.service {COMMAND}\n"]
    else:
        service = _SERVICE.format(minutes=idle_minutes, command=COMMAND)
        parts += [_file(COMMAND, IDLE.read_text(encoding="utf-8")), f"chmod 755 {COMMAND}\n"]
        parts += [_file(f"{units}.service", service), _file(f"{units}.timer", _TIMER)]
        parts += ["systemctl daemon-reload\nsystemctl start --no-block mlinfra-idle.timer\n"]
    return Join(tuple(_merged(parts)))


def _file(path: str, content: str) -> str:
    return f"cat >{path} <<'{_END}'\n{content}{_END}\n"


def _merged(parts: list[Value]) -> list[Value]:
    """Texts that stand side by side as one."""
    merged: list[Value] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return merged
