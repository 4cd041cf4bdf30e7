"""The beacon (声光报警器): the one thing Davylamp writes. docs/how-to/beacon.md.

::

    local alarms ─┐
    engines ──────┼─► states (a table) ─► coils ─► relay module: lamp, horn, watchdog contact
    buttons ──────┘                                     │
       ▲                                                └─► discrete inputs: test, silence
       └── local socket: `davylamp-edge beacon …`
"""
