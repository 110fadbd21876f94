"""The command line: one app of all verbs, and the one place where errors become exit codes."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from bertwright.cli import (
    adapt,
    convert,
    doctor,
    embed,
    evaluate,
    fill,
    finetune,
    inspect_,
    ladder,
    masks,
    parity,
    predict,
    prepare,
    pretrain,
    quickstart,
    report,
    serve,
    tokenize,
    vocab,
    vocab_extend,
)
from bertwright.cli.talk import out
from bertwright.errors import BertwrightError, ToldElsewhere
from bertwright.version import VERSION

app = typer.Typer(
    name="bertwright",
    help="The whole life of a BERT encoder: text, vocabulary, shards, pretraining, fine-tuning, predictions.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        out(f"bertwright {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take what stands before the verb."""


# In the order of the life.
app.command("quickstart")(quickstart.run)
app.command("tokenize")(tokenize.run)
app.command("doctor")(doctor.run)
app.command("vocab")(vocab.run)
app.command("vocab extend")(vocab_extend.run)
app.command("prepare")(prepare.run)
app.command("masks")(masks.run)
app.command("pretrain")(pretrain.run)
app.command("adapt")(adapt.run)
app.command("finetune")(finetune.run)
app.command("ladder")(ladder.run)
app.command("report")(report.run)
app.command("evaluate")(evaluate.run)
app.command("predict")(predict.run)
app.command("fill")(fill.run)
app.command("embed")(embed.run)
app.command("serve")(serve.run)
app.command("convert")(convert.run)
app.command("parity")(parity.run)
app.command("inspect")(inspect_.run)


def main(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code: 0 well, 2 the user's fault, 1 the machine's, 128 + n a signal."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:2] == ["vocab", "extend"]:
        # A verb of two words, beside one of its first word alone: click knows it as one name with a space.
        arguments = ["vocab extend", *arguments[2:]]
    try:
        app(arguments)
    except SystemExit as stop:
        # typer ends every command so: 0 when all went well, 2 after it told what is wrong with the arguments, 130 after
        # Ctrl-C.
        code = stop.code if isinstance(stop.code, int) else 1
        return _tell("interrupted", code) if code == 128 + signal.SIGINT else code
    except ToldElsewhere as error:
        return error.exit_code
    except BertwrightError as error:
        return _tell(str(error), error.exit_code)
    except OSError as error:
        return _tell(f"{error.filename or 'the system'}: {(error.strerror or str(error)).lower()}", 1)
    except (MemoryError, RuntimeError) as error:
        if not _is_full(error):
            raise
        return _tell("the memory is full; take smaller batches (batch_size, max_length), or a machine with more", 1)
    return 0


def _is_full(error: MemoryError | RuntimeError) -> bool:
    # torch's own class would mean importing torch for `--help`; on a CPU it raises a bare RuntimeError.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _tell(message: str, code: int) -> int:
    sys.stderr.write(f"bertwright: {message}\n")
    return code
