"""What our turn is held against: `python -m evals.bare MODEL_URL` prints its port.

The least that FastAPI and LangGraph can do: one route, a graph of one step per step of ours with a checkpointer, and one
call of the model. No guard, no retrieval, no ledger.
"""

import itertools
import sys
from typing import Any

STEPS = ("guard_input", "route", "retrieve", "generate", "guard_output")


def build(model_url: str) -> Any:
    """The application."""
    import httpx  # noqa: PLC0415  # the program's alone, as are all here
    from fastapi import FastAPI  # noqa: PLC0415
    from langgraph.checkpoint.memory import InMemorySaver  # noqa: PLC0415
    from langgraph.graph import StateGraph  # noqa: PLC0415
    from typing_extensions import TypedDict  # noqa: PLC0415

    class State(TypedDict, total=False):
        question: str
        answer: str

    model = httpx.AsyncClient(trust_env=False)

    async def passing(_state: State) -> State:
        return {}

    async def generate(state: State) -> State:
        body = {"model": "bare", "messages": [{"role": "user", "content": state["question"]}]}
        reply = (await model.post(f"{model_url}/v1/chat/completions", json=body)).json()
        return {"answer": reply["choices"][0]["message"]["content"]}

    graph: Any = StateGraph(State)
    for name in STEPS:
        graph.add_node(name, generate if name == "generate" else passing)
    graph.set_entry_point(STEPS[0])
    for before, after in itertools.pairwise(STEPS):
        graph.add_edge(before, after)
    compiled = graph.compile(checkpointer=InMemorySaver())
    app = FastAPI()

    async def chat(body: dict[str, str]) -> dict[str, str]:
        given = {"configurable": {"thread_id": body["user_id"]}}
        state = await compiled.ainvoke({"question": body["message"]}, given, durability="exit")
        return {"answer": str(state["answer"])}

    app.post("/v1/chat")(chat)
    return app


if __name__ == "__main__":
    from evals.upstream import serve

    serve(build(sys.argv[1]))
