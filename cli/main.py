"""The terminal's door: which commands there are, and what becomes of an error.

Exit codes: 0 done, 1 a gate or check failed, 2 wrong use. Every error is one line on stderr.
"""

import sys
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from cli import (
    access,
    asking,
    benching,
    calibrating,
    comparing,
    experiments,
    gaps,
    health,
    improving,
    inbox,
    judging,
    keeping,
    knowing,
    measuring,
    money,
    monitoring,
    moving,
    operating,
    optimising,
    people,
    prompting,
    pushing,
    receipts,
    rehearsing,
    releasing,
    reviewing,
    scoping,
    serving,
    tuning,
)
from cli.terminal import note
from domain.errors import FrontdeskError, NotMeasuredError, UsageError

DEBUG = "--debug"
NAME = "frontdesk"


class OneLineErrors(TyperGroup):
    """The commands; an error that they raise becomes one line and an exit code."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Some commands have two words: `guard calibrate` stands beside `guard TEXT`, `scope fit` alone."""
        both = " ".join(args[:2])
        if len(args) > 1 and both in self.commands:
            return both, self.commands[both], args[2:]
        return super().resolve_command(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002  # typer's signature
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002  # as above
        **extra: Any,
    ) -> Any:
        """Run one command and exit with its code. `--debug` may stand anywhere before a `--`."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        given, debug = _without_debug(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, prog_name, complete_var, False, windows_expand_args, **extra)
        except (TyperException, FrontdeskError) as fault:
            if debug:
                traceback.print_exception(fault)
            note(_line(fault))
            code = _exit_code(fault)
        except typer.Abort:
            note("stopped")
            code = 1
        sys.exit(code or 0)


def run() -> None:
    """The console's entry point."""
    if not _without_debug(sys.argv[1:])[1]:
        sys.excepthook = _one_line
    # Not app(): that would put typer's own excepthook in place of ours.
    get_command(app).main(prog_name=NAME)


def build() -> typer.Typer:
    """Every command with its help."""
    app = typer.Typer(
        name=NAME,
        cls=OneLineErrors,
        help="A customer-support desk of your own: cited, guarded answers with a receipt for every turn.",
        epilog='\b\nStart here:\n  frontdesk serve\n  frontdesk ask "Where is my parcel?"\n  frontdesk doctor',
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help, the same in a terminal and in a file, and 0.1 s sooner
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback()(_options)
    app.command("ask", epilog=asking.ASK_EXAMPLES)(asking.ask)
    app.command("chat", epilog=asking.CHAT_EXAMPLES)(asking.chat)
    app.command("serve", epilog=serving.EXAMPLES)(serving.serve)
    app.command("ops", epilog=operating.EXAMPLES)(operating.ops)
    app.command("ingest", epilog=knowing.INGEST_EXAMPLES)(knowing.ingest)
    app.add_typer(_knowledge(), name="knowledge")
    app.command("search", epilog=knowing.SEARCH_EXAMPLES)(knowing.search)
    app.command("guard", epilog=judging.GUARD_EXAMPLES)(judging.guard)
    app.command("guard calibrate", epilog=calibrating.EXAMPLES)(calibrating.calibrate)
    app.command("scope fit", epilog=scoping.EXAMPLES)(scoping.fit)
    app.command("route", epilog=judging.ROUTE_EXAMPLES)(judging.route)
    app.command("eval", epilog=measuring.EXAMPLES)(measuring.evaluate)
    app.command("eval list", epilog=experiments.LIST_EXAMPLES)(experiments.list_all)
    app.command("eval show", epilog=experiments.SHOW_EXAMPLES)(experiments.show_one)
    app.command("eval compare", epilog=experiments.COMPARE_EXAMPLES)(experiments.compare_two)
    app.command("eval push", epilog=pushing.EXAMPLES)(pushing.push)
    app.command("finetune", epilog=tuning.EXAMPLES)(tuning.finetune)
    app.command("optimise", epilog=optimising.EXAMPLES)(optimising.optimise)
    app.command("improve", epilog=improving.EXAMPLES)(improving.improve)
    app.command("receipt", epilog=receipts.EXAMPLES)(receipts.receipt)
    app.command("costs", epilog=money.COSTS_EXAMPLES)(money.costs)
    app.command("stats", epilog=money.STATS_EXAMPLES)(money.stats)
    app.add_typer(_budget(), name="budget")
    app.command("gaps", epilog=gaps.EXAMPLES)(gaps.gaps)
    app.command("gaps draft", epilog=gaps.DRAFT_EXAMPLES)(gaps.draft)
    app.command("feedback", epilog=reviewing.FEEDBACK_EXAMPLES)(reviewing.feedback)
    app.command("feedback to-cases", epilog=reviewing.CASES_EXAMPLES)(reviewing.feedback_to_cases)
    app.add_typer(_review(), name="review")
    app.command("monitor report", epilog=monitoring.EXAMPLES)(monitoring.report)
    app.add_typer(_prompts(), name="prompts")
    app.add_typer(_release(), name="release")
    app.add_typer(_keys(), name="keys")
    app.add_typer(_handoffs(), name="handoffs")
    app.add_typer(_data(), name="data")
    app.command("audit", epilog=access.AUDIT_EXAMPLES)(access.audit)
    app.command("migrate", epilog=moving.MIGRATE_EXAMPLES)(moving.migrate)
    app.command("move", epilog=moving.MOVE_EXAMPLES)(moving.move)
    app.command("backup", epilog=keeping.BACKUP_EXAMPLES)(keeping.backup)
    app.command("restore", epilog=keeping.RESTORE_EXAMPLES)(keeping.restore)
    app.command("bench", epilog=benching.EXAMPLES)(benching.bench)
    app.command("doctor", epilog=health.EXAMPLES)(health.doctor)
    return app


def _knowledge() -> typer.Typer:
    group = typer.Typer(help="The versions of the knowledge.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list", epilog=knowing.LIST_EXAMPLES)(knowing.list_versions)
    group.command("forget", epilog=knowing.FORGET_EXAMPLES)(knowing.forget)
    group.command("rollback", epilog=knowing.ROLLBACK_EXAMPLES)(knowing.rollback)
    group.command("vectors", epilog=knowing.VECTORS_EXAMPLES)(knowing.vectors)
    return group


def _budget() -> typer.Typer:
    group = typer.Typer(help="What may be spent on models.", no_args_is_help=True, rich_markup_mode=None)
    group.command("set", epilog=money.SET_EXAMPLES)(money.set_budget)
    group.command("show", epilog=money.SHOW_EXAMPLES)(money.show_budgets)
    return group


def _prompts() -> typer.Typer:
    group = typer.Typer(help="The versions of what is said to a model.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list", epilog=prompting.LIST_EXAMPLES)(prompting.list_all)
    group.command("show", epilog=prompting.SHOW_EXAMPLES)(prompting.show_one)
    group.command("diff", epilog=prompting.DIFF_EXAMPLES)(prompting.diff)
    group.command("export", epilog=prompting.EXPORT_EXAMPLES)(prompting.export)
    group.command("register", epilog=prompting.REGISTER_EXAMPLES)(prompting.register)
    group.command("import", epilog=prompting.REGISTER_EXAMPLES)(prompting.register)
    group.command("push", epilog=prompting.PUSH_EXAMPLES)(prompting.push)
    group.command("pull", epilog=prompting.PULL_EXAMPLES)(prompting.pull)
    group.command("test", epilog=rehearsing.EXAMPLES)(rehearsing.rehearse)
    group.command("ab", epilog=comparing.PROMPT_EXAMPLES)(comparing.start_prompt)
    group.command("promote", epilog=releasing.PROMOTE_PROMPT_EXAMPLES)(releasing.promote_prompt)
    group.command("rollback", epilog=releasing.ROLLBACK_PROMPT_EXAMPLES)(releasing.rollback_prompt)
    return group


def _release() -> typer.Typer:
    group = typer.Typer(help="What answers are made with, under one name.", no_args_is_help=True, rich_markup_mode=None)
    group.command("create", epilog=releasing.CREATE_EXAMPLES)(releasing.create)
    group.command("list", epilog=releasing.LIST_EXAMPLES)(releasing.list_all)
    group.command("show", epilog=releasing.DIFF_EXAMPLES)(releasing.show_one)
    group.command("diff", epilog=releasing.DIFF_EXAMPLES)(releasing.diff)
    group.command("gate", epilog=releasing.GATE_EXAMPLES)(releasing.gate)
    group.command("promote", epilog=releasing.PROMOTE_EXAMPLES)(releasing.promote)
    group.command("rollback", epilog=releasing.ROLLBACK_EXAMPLES)(releasing.rollback)
    trial = typer.Typer(help="Two releases side by side.", no_args_is_help=True, rich_markup_mode=None)
    trial.command("start", epilog=comparing.START_EXAMPLES)(comparing.start)
    trial.command("status", epilog=comparing.STATUS_EXAMPLES)(comparing.status)
    trial.command("stop", epilog=comparing.STOP_EXAMPLES)(comparing.stop)
    group.add_typer(trial, name="ab")
    return group


def _review() -> typer.Typer:
    group = typer.Typer(help="Turns that a person should look at.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list", epilog=reviewing.LIST_EXAMPLES)(reviewing.list_waiting)
    group.command("show", epilog=reviewing.SHOW_EXAMPLES)(reviewing.show_one)
    group.command("accept", epilog=reviewing.ACCEPT_EXAMPLES)(reviewing.accept)
    group.command("correct", epilog=reviewing.CORRECT_EXAMPLES)(reviewing.correct)
    group.command("reject", epilog=reviewing.REJECT_EXAMPLES)(reviewing.reject)
    group.command("rate", epilog=reviewing.RATE_EXAMPLES)(reviewing.rate)
    group.command("to-cases", epilog=reviewing.CASES_EXAMPLES)(reviewing.to_cases)
    return group


def _keys() -> typer.Typer:
    group = typer.Typer(help="The keys that open the API.", no_args_is_help=True, rich_markup_mode=None)
    group.command("create", epilog=access.CREATE_EXAMPLES)(access.create)
    group.command("list", epilog=access.LIST_EXAMPLES)(access.list_keys)
    group.command("revoke", epilog=access.REVOKE_EXAMPLES)(access.revoke)
    return group


def _handoffs() -> typer.Typer:
    group = typer.Typer(help="Customers who wait for a person.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list", epilog=inbox.LIST_EXAMPLES)(inbox.list_open)
    group.command("show", epilog=inbox.SHOW_EXAMPLES)(inbox.show_one)
    group.command("reply", epilog=inbox.REPLY_EXAMPLES)(inbox.reply)
    group.command("close", epilog=inbox.CLOSE_EXAMPLES)(inbox.close)
    return group


def _data() -> typer.Typer:
    group = typer.Typer(help="What is kept about one user.", no_args_is_help=True, rich_markup_mode=None)
    group.command("export", epilog=people.EXPORT_EXAMPLES)(people.export)
    group.command("delete", epilog=people.DELETE_EXAMPLES)(people.delete)
    return group


def _options(
    *,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    # Its text stands in --help; the option itself is taken in main(), wherever it stands.
    del debug


def _without_debug(args: Sequence[str]) -> tuple[list[str], bool]:
    end = list(args).index("--") if "--" in args else len(args)
    kept = [arg for place, arg in enumerate(args) if place >= end or arg != DEBUG]
    return kept, len(kept) < len(args)


def _line(fault: TyperException | FrontdeskError) -> str:
    if isinstance(fault, FrontdeskError):
        return f"{NAME}: {fault}"
    context = getattr(fault, "ctx", None)
    command = context.command_path if context is not None else NAME
    return f"{command}: {fault.format_message()} (see {command} --help)"


def _exit_code(fault: TyperException | FrontdeskError) -> int:
    if isinstance(fault, FrontdeskError):
        return 2 if isinstance(fault, UsageError | NotMeasuredError) else 1
    return fault.exit_code


def _one_line(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    """The last word on an error that nobody foresaw."""
    if issubclass(kind, KeyboardInterrupt):
        note("stopped")
    else:
        frames = traceback.extract_tb(trace)
        where = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
        note(f"{NAME}: {where}{kind.__name__}: {fault} (a fault of ours; {DEBUG} shows the traceback)")


app = build()
"""The commands, for whoever lists or completes them. Building them opens nothing."""
