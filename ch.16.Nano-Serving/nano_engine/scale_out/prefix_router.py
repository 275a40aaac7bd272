"""Ray Serve's request router, by prefixes: to the replica that has seen the longest beginning of this text.

Unless that one has much more to do than the idlest; then, as for a text that nobody has seen, to the idlest. It
runs in the front's process and asks nobody: what it needs to know it has sent itself.
"""

import random

from ray.serve._private.replica_result import ReplicaResult
from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

from .prefix_index import PrefixIndex


class PrefixRouter(RequestRouter):
    """The text to route by is the first argument of the call."""

    def initialize_state(self, max_imbalance: int = 8, block_chars: int = 64) -> None:
        """max_imbalance: how many more open requests than the idlest a replica may have for its prefix's sake."""
        self._max_imbalance = max_imbalance
        self._index = PrefixIndex(block_chars)

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """The best alone, then all others; Ray Serve takes the first that accepts."""
        if not candidate_replicas:
            return []
        if pending_request is None or not pending_request.args:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True  # if nobody accepts, wait before asking again
        lengths = self._index.match(pending_request.args[0], [r.replica_id for r in candidate_replicas])
        open_ = {
            r.replica_id: self.replica_queue_len_cache.get(r.replica_id) or 0 for r in candidate_replicas
        }
        fewest = min(open_.values())

        def worth(replica: RunningReplica) -> tuple:
            num_open = open_[replica.replica_id]
            length = lengths[replica.replica_id] if num_open - fewest <= self._max_imbalance else 0
            return (length, -num_open, random.random())

        best = max(candidate_replicas, key=worth)
        return [[best], [replica for replica in candidate_replicas if replica is not best]]

    def on_request_routed(
        self, pending_request: PendingRequest, replica_id: ReplicaID, result: ReplicaResult
    ) -> None:
        if pending_request.args:
            self._index.insert(pending_request.args[0], replica_id)

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        super().on_replica_actor_died(replica_id)
        self._index.forget(replica_id)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        super().update_replicas(replicas)
        self._index.keep_only(replica.replica_id for replica in replicas)
