"""Who is told, how, and until it has arrived."""
