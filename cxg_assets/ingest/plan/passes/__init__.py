"""Two passes that shuffle cells fully: what each does, and how the cells are cut for them."""
