"""The errors of the engine. Each message says what was wrong, where, and what to do."""


class CxgError(Exception):
    """Something outside the user's input went wrong: a store, a Census, a chunk file."""


class BadInput(CxgError, ValueError):
    """A mistake in what the user asked for; found before any work, nothing was written."""


class StoreError(CxgError):
    """A store refused or lost a request; the message names the object."""


class Unreachable(StoreError):
    """A store did not answer, or not usefully, for as long as a request is repeated. Later it may."""
