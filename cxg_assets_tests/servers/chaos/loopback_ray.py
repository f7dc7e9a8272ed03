"""`python loopback_ray.py start …`: Ray's own command, for nodes that listen on 127.0.0.1 alone.

Ray takes 127.0.0.1 for the outward address of the machine, and refuses a second node where it is told not to
(`ray_cluster._ONE_MACHINE`).
"""

import sys

if __name__ == "__main__":
    from ray._private import services
    from ray.scripts.scripts import main

    services.get_node_ip_address = lambda address=None: "127.0.0.1"
    sys.exit(main())
