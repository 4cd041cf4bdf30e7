"""Copies of a cloud's folder: made beside a running cloud, and put back into an empty one."""
