"""The page for people: one HTML file that needs nothing else, made from a run's results."""

from warren.lab.report.page import render

__all__ = ["render"]
