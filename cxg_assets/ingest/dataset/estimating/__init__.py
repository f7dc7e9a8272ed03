"""What a subset takes, told before it is made: the steps of reading and writing, gone through without X."""
