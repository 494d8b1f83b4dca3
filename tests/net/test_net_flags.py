"""Every recorded flag and argument is there, with the same type and default. New ones are welcome."""

from __future__ import annotations

from net_probes import flags
from record import recorded

RECORD: dict[str, dict[str, str]] = {name: value for name, value in recorded("flags").items() if name != "made"}


def test_every_flag_is_as_recorded() -> None:
    found = flags()
    changed = []
    for command, lines in RECORD.items():
        now = found.get(command, {})
        for flag, line in lines.items():
            if now.get(flag) != line:
                changed.append(f"{command} {flag}: {line!r} is now {now.get(flag)!r}")
    assert not changed, "\n".join(changed)


def test_no_new_argument_is_required() -> None:
    for command, lines in flags().items():
        known = RECORD.get(command)
        if known is not None:  # else the command itself is new
            assert [name for name, line in lines.items() if name not in known and "required" in line] == [], command
