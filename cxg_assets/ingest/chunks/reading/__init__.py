"""Reads stored chunks of each format from their bytes."""
