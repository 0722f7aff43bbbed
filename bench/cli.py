"""`sepc bench`: run a suite, compare with stock MPyC, profile a program."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from bench.harness import SUITES, BenchError, compare_mpyc, machine, run_suite

app = typer.Typer(help='Benchmarks and the protocol profiler.', invoke_without_command=True)


@app.callback()
def bench(
    context: typer.Context,
    suite: Annotated[str, typer.Option(help=f'One of: {", ".join(SUITES)}.')] = 'engine',
    parties: Annotated[int, typer.Option('--parties', '-M', min=1, help='Local parties.')] = 4,
    threshold: Annotated[int | None, typer.Option('--threshold', '-T')] = None,
    names: Annotated[str | None, typer.Option(help='Only these, separated by commas.')] = None,
    sizes: Annotated[str | None, typer.Option(help='Only these sizes n.')] = None,
    compare: Annotated[str | None, typer.Option(help='"mpyc": beside stock MPyC.')] = None,
    plain: Annotated[bool, typer.Option('--plain', help='Bare TCP instead of TLS.')] = False,
    verified: Annotated[bool, typer.Option('--verified', help='Measure verified mode.')] = False,
    beside: Annotated[str | None, typer.Option(
        help='Also measure: "plain", "verified", "plain,verified" or "none"; plain unless told.')
    ] = None,
    deadline: Annotated[float, typer.Option(help='Seconds for the whole run.')] = 1800.0,
    as_json: Annotated[bool, typer.Option('--json', help='Print one JSON document.')] = False,
) -> None:
    """Time operations with real local parties, each its own process."""
    if context.invoked_subcommand:
        return
    if compare not in (None, 'mpyc'):
        _fail(f'cannot compare with {compare!r}, expected "mpyc"', as_json)
    if plain and verified:
        _fail('give --plain or --verified, not both', as_json)
    others = None if beside is None else () if beside == 'none' else tuple(beside.split(','))
    try:
        document = compare_mpyc(parties, threshold, deadline=deadline) if compare else run_suite(
            suite, parties=parties, threshold=threshold, deadline=deadline,
            main='plain' if plain else 'verified' if verified else 'tls', beside=others,
            names=names.split(',') if names else None, sizes=sizes.split(',') if sizes else None)
    except (BenchError, ValueError) as error:
        results = getattr(error, 'results', [])
        if results and not as_json:
            _print({'machine': machine(), 'results': results})
        _fail(str(error), as_json, **{'results': results} if results else {})
    if as_json:
        print(json.dumps(document))
    else:
        _print(document)


@app.command()
def profile(
    program: Annotated[str, typer.Argument(help='A file that uses `from engine import mpc`.')],
    arguments: Annotated[list[str] | None, typer.Argument(help="The program's arguments.")] = None,
    parties: Annotated[int, typer.Option('--parties', '-M', min=1)] = 4,
    threshold: Annotated[int | None, typer.Option('--threshold', '-T')] = None,
    deadline: Annotated[float, typer.Option(help='Seconds for the whole run.')] = 600.0,
    as_json: Annotated[bool, typer.Option('--json', help='Print one JSON document.')] = False,
) -> None:
    """Show what a program costs per operation, and what it would take on other networks."""
    from bench.profile import print_profile, profile_program
    try:
        document = profile_program(program, arguments or (), parties=parties, threshold=threshold,
                                   deadline=deadline)
    except BenchError as error:
        _fail(str(error), as_json)
    if as_json:
        print(json.dumps(document))
    else:
        print_profile(document)


def _print(document: dict[str, Any]) -> None:
    from rich.console import Console

    from bench.tables import table_of

    results = document['results']
    beside = [kind for kind in ('plain', 'verified')
              if any(f'seconds_{kind}' in r for r in results)]
    table = table_of(['name', 'n'], ['seconds', *beside, 'CPU s /party', 'MB /party', 'rounds',
                                     'peak MB'])
    for r in results:
        table.add_row(r['name'], str(r['n']), _seconds(r['seconds']),
                      *[_seconds(r.get(f'seconds_{kind}')) for kind in beside],
                      _seconds(r['cpu_seconds_per_party']),
                      f'{r["bytes_per_party"] / 1e6:.{1 if r["bytes_per_party"] > 1e8 else 2}f}',
                      str(r['rounds']), f'{r["peak_rss_mb"]:.0f}')
    console = Console()
    console.print(table)
    for row in document.get('comparison', []):
        console.print(f'{row["name"]}: {row["ratio"]} times stock MPyC per element')
    here = document['machine']
    console.print(f'calibration loop: {here["calibration_seconds"]} s; TLS by {here["tls"]}')


def _seconds(value: float | None) -> str:
    return '-' if value is None else f'{value:.4f}' if value < 0.1 else f'{value:.3f}'


def _fail(message: str, as_json: bool, **more: Any) -> None:
    if as_json:
        print(json.dumps({'error': {'code': 'bench', 'cause': message}, **more}))
    print(f'sepc: {message}', file=sys.stderr)
    raise typer.Exit(1)
