"""Pooling functions that workers can import."""

from __future__ import annotations


def first_and_a_half(states, mask):
    return states[:, 0] * 1.5
