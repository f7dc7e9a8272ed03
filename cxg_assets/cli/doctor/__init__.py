"""`cxg-assets doctor`: looks at this machine, the Census and the destination before a run."""
