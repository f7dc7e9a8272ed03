"""What the census indexes of releases answer: the rows of one, what a subset would be, what is other in another."""
