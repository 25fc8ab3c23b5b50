"""Which step follows which: the story of a customer's question.

    guard_input → route → retrieve → generate → guard_output → judge

A blocked, out-of-scope or unanswerable turn goes to `refuse`, one for a person to `handoff`, at once or behind `refuse`. A step
that fails or takes too long ends in `refuse` too: an exception is never an answer.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Annotated, Any, Literal, get_args, get_type_hints

import structlog
from langgraph.channels import UntrackedValue
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import NodeError
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Overwrite, TimeoutPolicy
from typing_extensions import TypedDict

from domain.ports import Span, SpanKind, Tracer, TurnContext
from domain.turn import Pins, Turn, TurnInput
from graph.record import APPENDED, RAW, revived
from nodes.deps import Deps
from nodes.generate import generate
from nodes.guard_input import fresh_turn, guard_input
from nodes.guard_output import guard_output
from nodes.handoff import handoff
from nodes.judge import judge
from nodes.refuse import refuse
from nodes.retrieve import retrieve
from nodes.route import route

Graph = CompiledStateGraph[Any, Pins, Any, Any]
Node = Callable[..., Awaitable[Mapping[str, object]]]

Way = Callable[..., Awaitable[str]]
"""Says from a turn, and from its runtime where it asks for that, which step is next; its annotation names them all."""

FIRST = "guard_input"
KINDS: dict[str, SpanKind] = {
    "guard_input": "guardrail",
    "route": "chain",
    "retrieve": "retriever",
    "generate": "chain",
    "guard_output": "guardrail",
    "judge": "evaluator",
    "refuse": "chain",
    "handoff": "chain",
}
SHOWN = {
    "guard_input": (),
    "route": ("masked", "language"),
    "retrieve": ("standalone",),
    "generate": ("standalone", "confidence", "tier"),
    "guard_output": ("draft", "mode"),
    "judge": ("standalone", "answer"),
    "refuse": ("outcome", "reason"),
    "handoff": ("masked", "reason"),
}
"""What a span says of a step's input. guard_input's is raw, so its span shows its masked output only."""


NEEDED_AGAIN = frozenset({"history", "dont_knows", "offered"})
"""What the next turn of a thread needs of this one. Nothing else is kept in a checkpoint: it is raw, or stands in the receipt."""


class _Gathered(UntrackedValue[list[Any]]):
    """What the steps of a turn append to, kept by no checkpoint."""

    def update(self, values: Sequence[Any]) -> bool:
        """Take what each step has written: more, or all of it anew."""
        for value in values:
            self.value = (
                value.value if isinstance(value, Overwrite) else [*(self.value if self.is_available() else []), *value]
            )
        return bool(values)


def _service_turn() -> Any:
    """`Turn` of which a checkpoint keeps `NEEDED_AGAIN`."""
    fields = get_type_hints(Turn, include_extras=True)
    passing = {
        name: Annotated[kind, _Gathered(list) if name in APPENDED else UntrackedValue(object)]
        for name, kind in fields.items()
        if name not in NEEDED_AGAIN
    }
    make: Any = TypedDict
    return make("ServiceTurn", fields | passing, total=False)


def build_service(deps: Deps, tracer: Tracer, saver: BaseCheckpointSaver[str]) -> Graph:
    """The graph that serves customers: it stops before the judge, which runs after the answer is out.

    Its steps have no timers of their own: the Desk's, for the whole turn, would be over first.
    """
    turn, after = _service_turn(), _after()
    graph = StateGraph(turn, Pins, input_schema=TurnInput)
    for name, node in _steps().items():
        step = _traced(name, partial(node, deps=deps), tracer)
        if name in after:
            going = _going(name, step, after[name])
            graph.add_node(name, going, input_schema=turn, destinations=_places(after[name]))
        else:
            graph.add_node(name, step, input_schema=turn)
    _joined(graph)
    compiled: Graph = graph.compile(checkpointer=saver, interrupt_before=["judge"], name="frontdesk")
    return compiled


About = Callable[[str, str], TurnContext]
"""What a trace says of a turn: from the trace's id and the thread's."""


def build_studio(deps: Deps, tracer: Tracer, about: About, *, step_timeout: float) -> Graph:
    """The same graph for LangGraph Studio, which brings its own checkpointer and runs the judge inline.

    Studio steps through the graph from checkpoints, so here the question is kept in them.
    """
    graph = StateGraph(Turn, Pins, input_schema=TurnInput)
    graph.set_node_defaults(timeout=TimeoutPolicy(run_timeout=step_timeout))
    for name, node in _steps().items():
        step = _traced(name, partial(node, deps=deps), tracer)
        graph.add_node(name, _joining(name, step, tracer, about))
    for name, way in _after().items():
        graph.add_conditional_edges(name, way)
    _joined(graph)
    compiled: Graph = graph.compile(name="frontdesk")
    return compiled


def build_judge(deps: Deps, tracer: Tracer) -> Graph:
    """The judge alone, for a turn whose answer has gone out; it touches no thread."""
    graph = StateGraph(Turn, Pins)
    graph.add_node("judge", _traced("judge", partial(judge, deps=deps), tracer))
    graph.add_edge(START, "judge")
    graph.add_edge("judge", END)
    return graph.compile(name="judge")


def _steps() -> dict[str, Node]:
    return {
        "guard_input": guard_input,
        "route": route,
        "retrieve": retrieve,
        "generate": generate,
        "guard_output": guard_output,
        "judge": judge,
        "refuse": refuse,
        "handoff": handoff,
    }


def _after() -> dict[str, Way]:
    """The steps behind which a turn goes one way or another."""
    return {
        "guard_input": _after_guard_input,
        "route": _after_route,
        "generate": _after_generate,
        "guard_output": _after_guard_output,
        "refuse": _after_refuse,
    }


def _joined(graph: StateGraph[Any, Pins, Any, Any]) -> None:
    """The edges that a turn always takes, and where one goes whose step has failed."""
    graph.set_node_defaults(error_handler=_failed)
    graph.add_edge(START, FIRST)
    graph.add_edge("retrieve", "generate")
    graph.add_edge("judge", END)
    graph.add_edge("handoff", END)


# Awaited, though they wait for nothing: LangGraph sends a plain function to a thread.
async def _after_guard_input(turn: Turn) -> Literal["route", "refuse"]:
    return "refuse" if turn["outcome"] else "route"


async def _after_route(turn: Turn) -> Literal["retrieve", "generate", "refuse", "handoff"]:
    match turn["outcome"]:
        case "handoff":
            return "handoff"
        case None:
            return "generate" if turn["reason"] in ("small_talk", "clarify") else "retrieve"
        case _:
            return "refuse"


async def _after_generate(turn: Turn) -> Literal["guard_output", "refuse", "handoff"]:
    match turn["outcome"]:
        case "handoff":
            return "handoff"
        case None:
            return "guard_output"
        case _:
            return "refuse"


async def _after_guard_output(turn: Turn, runtime: Runtime[Pins]) -> Literal["judge", "refuse", "__end__"]:
    if turn["outcome"] != "answer":
        return "refuse"
    judged = turn["passages"] and (runtime.context or Pins()).judge
    return "judge" if judged else "__end__"


async def _after_refuse(turn: Turn) -> Literal["handoff", "__end__"]:
    return "handoff" if turn["outcome"] == "handoff" else "__end__"


async def _failed(_turn: Turn, error: NodeError) -> Command[Literal["refuse", "__end__"]]:
    """A step that raised or ran out of time. Guards fail closed; elsewhere the desk cannot answer now."""
    kind = type(error.error).__name__
    structlog.get_logger().error("step failed", step=error.node, error=kind)
    if error.node in ("refuse", "handoff", "judge"):
        return Command(update={"error": f"{error.node}: {kind}"}, goto="__end__")
    guarding = KINDS[error.node] == "guardrail"
    update: dict[str, object] = dict(fresh_turn()) if error.node == "guard_input" else {}
    update |= {
        "outcome": "refuse" if guarding else "dont_know",
        "reason": "guard_failed" if guarding else "model_down",
        "error": f"{error.node}: {kind}",
    }
    return Command(update=update, goto="refuse")


def _traced(name: str, node: Node, tracer: Tracer) -> Node:
    """The step inside its span. Only masked fields are shown."""
    wants_runtime = "runtime" in signature(node).parameters

    async def step(turn: Turn, runtime: Runtime[Pins]) -> Mapping[str, object]:
        turn = revived(turn)
        given = {field: turn.get(field) for field in SHOWN[name]}
        with tracer.step(name, KINDS[name], given) as span:
            update = await (node(turn, runtime) if wants_runtime else node(turn))
            _record(span, update)
        return update

    step.__name__ = name
    return step


def _going(name: str, step: Node, way: Way) -> Callable[..., Awaitable[Command[str]]]:
    """The step, which then says itself where its turn goes: to ask behind it LangGraph copies the whole state.

    Studio asks behind it, so that a step whose update a developer has edited is gone on from.
    """
    wants_runtime = "runtime" in signature(way).parameters

    async def going(turn: Turn, runtime: Runtime[Pins]) -> Command[str]:
        update = await step(turn, runtime)
        known = {**turn, **{field: plain(value) for field, value in update.items()}}
        return Command(update=update, goto=await (way(known, runtime) if wants_runtime else way(known)))

    going.__name__ = name
    return going


def _places(way: Way) -> tuple[str, ...]:
    return get_args(signature(way).return_annotation)


def _joining(name: str, step: Node, tracer: Tracer, about: About) -> Node:
    """The step inside the trace of its turn. The turn has the id of the run that asked, also where others go on with it."""

    async def joined(turn: Turn, runtime: Runtime[Pins]) -> Mapping[str, object]:
        run = runtime.execution_info
        asked = name == FIRST
        turn_id = (run.run_id if run else "") if asked else turn.get("turn_id")
        if not turn_id:
            return await step(turn, runtime)
        with tracer.turn(about(turn_id.replace("-", ""), (run.thread_id if run else "") or "")):
            update = await step(turn, runtime)
        return {**update, "turn_id": turn_id} if asked else update

    joined.__name__ = name
    return joined


def _record(span: Span, update: Mapping[str, object]) -> None:
    shown = {field: plain(value) for field, value in update.items() if field not in RAW and value}
    calls = plain(update.get("calls", []))
    span.record(shown, calls=calls if isinstance(calls, list) else [])


def plain(value: object) -> object:
    """A node's update without LangGraph's `Overwrite` around it."""
    return value.value if isinstance(value, Overwrite) else value
