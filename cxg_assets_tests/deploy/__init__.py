"""What `deploy/` has: the files, and the services that run by them."""
