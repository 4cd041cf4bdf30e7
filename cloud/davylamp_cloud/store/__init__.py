"""What the engine leaves on disk: alarms, transitions, outbox, register."""
