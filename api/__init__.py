"""The HTTP door: /v1 for customers, the chat page, /admin for this machine's owner, probes."""

from api.app import create_app, run_server

__all__ = ["create_app", "run_server"]
