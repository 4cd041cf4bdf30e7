"""Who may do what. Everything that lets a person act or read is in this table; routes name a permission, never a role.

The regulator reads everything and operates nothing: an act in the duty room is the duty room's own. What one person
did there alone is the regulator's to review.
"""

from enum import StrEnum

from davylamp_cloud.config import Role


class Permission(StrEnum):
    """One thing a person may do."""

    READ = "read"
    TRANSITIONS = "transitions"
    METRICS = "metrics"
    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SHELVE = "shelve"
    REVIEW = "review"
    QUARANTINE = "quarantine"
    EDIT = "edit"
    BACKTEST = "backtest"


_EVERYONE = frozenset(Role)
_DUTY_ROOM = frozenset({Role.OPERATOR, Role.ENGINEER, Role.ADMINISTRATOR})

PERMISSIONS: dict[Permission, frozenset[Role]] = {
    Permission.READ: _EVERYONE,
    Permission.TRANSITIONS: _EVERYONE,
    Permission.METRICS: _EVERYONE,
    Permission.ACKNOWLEDGE: _DUTY_ROOM,
    Permission.RESET: _DUTY_ROOM,
    Permission.SHELVE: _DUTY_ROOM,
    # The park reviews what one person did alone, never the site's own duty room (SAFETY S15).
    Permission.REVIEW: frozenset({Role.REGULATOR, Role.ADMINISTRATOR}),
    # What alarms and what does not is the engineer's to say; the duty room only confirms what an edit would end.
    Permission.EDIT: frozenset({Role.ENGINEER, Role.ADMINISTRATOR}),
    # It changes nothing, and takes a core of the machine for a while.
    Permission.BACKTEST: _DUTY_ROOM,
    # A quarantined payload may come from any hazard source, so it is for those who mend the plant's configuration.
    Permission.QUARANTINE: frozenset({Role.ENGINEER, Role.ADMINISTRATOR}),
}


def allowed(role: Role, permission: Permission) -> bool:
    """Return whether a role holds a permission."""
    return role in PERMISSIONS[permission]
