"""Attributes of a YAML that have attributes of their own."""
