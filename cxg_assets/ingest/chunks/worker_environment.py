"""How a process that makes chunks should be started."""

WORKER_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
    "OPENBLAS_NUM_THREADS": "1",
}
"""Environment variables for a worker's process; they count only when they are set before it starts.

A block's buffers are tens of megabytes, and glibc by default gives such memory back to the kernel as soon as it is
freed; the next block then faults it in again, page by page. Kept in one arena, the same reads take half the CPU
(`X.read` 50 µs a cell before, 21 after, measured) and a worker peaks lower, since what one thread freed the next one
uses. OpenBLAS would start threads that nobody uses. Where the C library is not glibc the variables do nothing.
"""
