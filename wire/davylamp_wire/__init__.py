"""What edge and cloud agree on: readings, quality, profiles, Sparkplug topics, payloads, sessions. Pure, no clock."""
