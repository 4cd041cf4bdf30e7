"""The cloud: log, history, alarm engine, notices, API and console in one process."""
