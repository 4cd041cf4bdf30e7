"""The edge agent: polls PLCs, keeps every reading on disk until the cloud confirms it, publishes Sparkplug B."""
