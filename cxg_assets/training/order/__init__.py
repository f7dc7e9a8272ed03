"""Which cells come when: the order of an epoch, who gets which part of it, and cells that come more often."""
