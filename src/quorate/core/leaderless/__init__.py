"""Leaderless replication: any node coordinates, and quorums of the replicas answer. Users cannot choose it yet."""
