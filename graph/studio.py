"""The graph for LangGraph Studio: langgraph.json points here, and only here something is built at import.

Studio has a home of its own below FRONTDESK_HOME, so that it never shares a folder with a running
service, and brings its own checkpointer. Open it with `langgraph dev`.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from domain.settings import read_settings
from graph.bootstrap import open_studio
from graph.build import Graph


def _opened() -> Graph:
    """Build the graph on a thread of its own: whoever imports this may be running an event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, open_studio(read_settings())).result()


graph = _opened()
