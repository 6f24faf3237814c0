"""What is reckoned without a cluster: how a rumour spreads, how stale a read of a quorum may be, and plots of it."""
