"""The whole platform under faults: processes killed, disks full, two at once; and what must hold afterwards."""
