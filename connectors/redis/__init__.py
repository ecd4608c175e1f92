"""Servers of Redis: one, a cluster, or an embedded one, behind one client."""
