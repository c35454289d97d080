"""`headworks up`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headworks.cli.folders import workspace_files
from headworks.cli.lazy import new_app
from headworks.cli.local import remove_address, write_address
from headworks.cli.options import AsJson
from headworks.cli.terminal import note, print_json
from headworks.config import Settings, load_settings
from headworks.errors import StartupRefused, WorkspaceInvalid

if TYPE_CHECKING:
    from headworks.server.supervisor import Prepared

app = new_app()
USUAL_WORKSPACE = Path("workspace")


@app.command()
def up(
    *,
    workspace: Annotated[
        Path | None,
        typer.Option(
            "--workspace", help="Applied before the first request; `workspace` if it is there.", metavar="DIR"
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Everything that must survive.", metavar="DIR")] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="0 picks a free one.", metavar="N", min=0, max=65535)
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on.", metavar="ADDRESS")] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that answer.", metavar="N", min=1, max=64)
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings; `headworks.toml` if it is there.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the server and serve until Ctrl-C or SIGTERM.

    One line says when it is ready: with --json url, admin_key and claim_url, the latter two at the first start only.

    Example: headworks up --workspace workspace --data /srv/headworks --port 8484
    """
    settings = with_options(load_settings(config), data=data, port=port, host=host, workers=workers)
    folder = find_workspace(workspace)
    if not as_json:
        note(f"Starting on {settings.data.resolve()}" + (f" with the workspace {folder}" if folder else "") + " …")
    serve(settings, folder, as_json=as_json)


def with_options(
    settings: Settings, *, data: Path | None, port: int | None, host: str | None = None, workers: int | None = None
) -> Settings:
    """The settings with what the command line gives."""
    server = settings.server
    if port is not None:
        server = replace(server, port=port)
    if host is not None:
        server = replace(server, host=host)
    if workers is not None:
        server = replace(server, workers=workers)
    # Absolute: processes that it starts, and the address left in it, must not depend on the current folder.
    return replace(settings, data=(data or settings.data).absolute(), server=server)


def find_workspace(given: Path | None) -> Path | None:
    """The folder to apply at the start; StartupRefused when it is none, or has no file of a workspace in it."""
    if given is None and not USUAL_WORKSPACE.is_dir():
        return None
    folder = given or USUAL_WORKSPACE
    try:
        workspace_files(folder)
    except WorkspaceInvalid as error:
        raise StartupRefused(error.message, next_step=error.next_step) from None
    return folder


def serve(settings: Settings, workspace: Path | None, *, as_json: bool) -> None:
    """Start, say so, and watch until a signal comes."""
    import logging

    from headworks.server.supervisor import Supervisor

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    supervisor = Supervisor(settings, workspace)
    prepared = supervisor.start((lambda _: None) if as_json else (lambda step: note(f"  {step}")))
    try:
        write_address(settings.data, prepared.url)
        _say_ready(prepared, settings.data, as_json=as_json)
        supervisor.run()
    finally:
        remove_address(settings.data)
        supervisor.stop()
    if not as_json:
        note("Stopped.")


def _say_ready(prepared: Prepared, data: Path, *, as_json: bool) -> None:
    if as_json:
        first = {"admin_key": prepared.admin_key, "claim_url": prepared.claim_url}
        print_json({"url": prepared.url, **{name: value for name, value in first.items() if value is not None}})
        return
    for notice in prepared.notices:
        note(f"  note: {notice}")
    print(f"Headworks is ready at {prepared.url}")
    if prepared.claim_url is not None:
        print(f"  sign in:    {prepared.claim_url}   (works once, within 24 hours)")
    if prepared.admin_key is not None:
        print(f"  first key:  {prepared.admin_key}   (shown this once: keep it)")
    print(f"  data:       {data}\n  stop:       Ctrl-C", flush=True)
