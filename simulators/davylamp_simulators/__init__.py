"""Simulated plants, regulator and recordings: they stand in for the hardware and keep the ledger."""
