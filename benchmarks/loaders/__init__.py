"""The loader beside those that others train with: cells a second, and the time to the first batch."""
