"""Servers, proxies and programs on 127.0.0.1 that tests and benchmarks share."""
