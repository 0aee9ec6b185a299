"""The ``g2m`` command. Groups are imported here, what they do only when they do it."""

from __future__ import annotations

import os
import sys
import time

import typer

from g2m_cli.commands import data, demo, diffusion, doctor, encoders, evaluate, gan, interpret, run
from g2m_cli.console import complain, say
from g2m_cli.errors import is_user_error
from g2m_cli.processes import leave, rank

_SECONDS_BEHIND_THE_MAIN_PROCESS = 10.0

app = typer.Typer(
    help="Genes to morphology: draw the H&E tissue of a spot from its gene expression.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich formatting of help costs 0.3 s at every start
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.add_typer(encoders.app, name="encoders")
app.add_typer(gan.app, name="gan")
app.add_typer(diffusion.app, name="diffusion")
app.add_typer(evaluate.app, name="eval")
app.add_typer(interpret.app, name="interpret")
app.command(name="doctor")(doctor.doctor)
app.command(name="run")(run.run)
app.command(name="demo")(demo.demo)


def main() -> None:
    """Run the command; a user's mistake ends in one line and exit code 2, an interruption in 130."""
    try:
        app()
    except SystemExit as ended:
        if not ended.code:
            leave()
        raise
    except KeyboardInterrupt:
        say("g2m: interrupted; nothing is half written, and the same command begins again or goes on")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if not is_user_error(error):
            raise
        if rank():  # of several processes all make the same mistake: the launcher ends the others when the first ends
            time.sleep(_SECONDS_BEHIND_THE_MAIN_PROCESS)
        complain(f"g2m: {' '.join(str(error).split())}")
        sys.exit(2)
