"""`cxg-assets ui`: the command, what it keeps running, and what else runs on this machine."""
