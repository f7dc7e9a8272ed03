"""How long prune keeps what nothing points to, and what is risked by less."""

from datetime import timedelta

RETENTION = timedelta(days=7)
"""What is younger stays, as in table formats: long enough for any run, and for a weekend."""

SHORT_RETENTION_RISK = (
    "a plan that another machine has made but not started to write has no mark yet and would be removed, and so would "
    "chunks that a failed run left for the next one"
)
"""What less than that risks."""
