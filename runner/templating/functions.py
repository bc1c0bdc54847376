"""The functions that expressions may call; they read files below the playbook's folder only."""

from __future__ import annotations

NAMES: tuple[str, ...] = ()
