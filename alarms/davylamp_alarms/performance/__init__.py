"""How the alarm system itself performs: chatter, floods, first-outs, KPIs. It listens and advises, and does nothing."""
