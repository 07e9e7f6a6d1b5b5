"""The host agent: read, render, plan, apply, report."""
