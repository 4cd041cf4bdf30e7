"""What edge and cloud agree on: readings, quality, profiles, Sparkplug topics, payloads and sessions. Pure, no clock."""
