"""Two Ray nodes on loopback: ``python -m tests.ray_cluster``, until standard input closes.

The address is printed when both are up. No dashboard, no statistics to anybody, little memory.
"""

import os
import sys

LOOPBACK = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # or Ray would not take loopback
}
STORE_BYTES = 80 << 20


def main() -> None:
    os.environ.update(LOOPBACK)
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        print(cluster.address, flush=True)
        sys.stdin.read()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
