"""Computing a course of plain arithmetic: no model, every key worked out, the same course for the same seed."""

from __future__ import annotations

from tasks.strategies.arithmetic.course import fill_group, fill_text, operations_for, serves, skeleton

__all__ = ["fill_group", "fill_text", "operations_for", "serves", "skeleton"]
