"""The difference of two mappings, with reasons. Knows nothing of networking. Pure."""

from warren.reconcile.plan import Plan, plan

__all__ = ["Plan", "plan"]
