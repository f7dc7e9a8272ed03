"""The Census: how a release is found, opened and read, and what its layout decides."""
