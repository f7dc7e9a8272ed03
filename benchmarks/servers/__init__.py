"""S3 on this machine: a server over a folder, and a proxy that makes it far away. Both count requests."""
