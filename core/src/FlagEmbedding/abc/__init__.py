"""The contracts."""
