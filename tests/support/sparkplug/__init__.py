"""Sparkplug 3.0 conformance of the edge, judged on the broker's side of the wire."""
