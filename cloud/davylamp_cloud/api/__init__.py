"""The versioned HTTP API. Nothing is imported here: what is settled before a start needs no web server."""
