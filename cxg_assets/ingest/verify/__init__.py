"""Is it right? What checks, `verify` and `verify --deep` look at."""
