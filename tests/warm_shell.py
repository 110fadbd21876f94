"""A shell in which `bertwright` answers at once: each command is a copy of one process that has imported torch already.

A page of the book has a dozen commands, and an import takes longer than any of them with a model of a few thousand
weights. `bertwright` on the path is a script of a few lines, which hands its arguments, its folder and its three
streams over a socket; the process forks, and the copy does what `python -m bertwright` would.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path

_CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    wanted = [sys.argv[1:], os.getcwd(), dict(os.environ)]
    socket.send_fds(line, [json.dumps(wanted).encode() + b"\\n"], [0, 1, 2])
    code = line.recv(16)
sys.exit(int(code or b"1"))
"""


class WarmShell:
    """Runs shell commands in a folder; `folder` holds the script and the socket, whose path must be short."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        address = folder / "line"
        script = self.bin / "bertwright"
        script.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
        script.chmod(0o755)
        self.environment = os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(address)], stdout=subprocess.PIPE, text=True, env=self.environment
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def run(self, command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """What a shell makes of a command."""
        return subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def python(self, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """What Python makes of some lines."""
        (folder / "block.py").write_text(code, encoding="utf-8")
        return self.run("bertwright --python block.py", folder)

    def close(self) -> None:
        """End the process."""
        with self._process:  # which closes its stream too
            self._process.terminate()


def _serve(address: str) -> None:
    import bertwright.cli.main
    import bertwright.recipes.adapting.adapt
    import bertwright.recipes.bulk.predict
    import bertwright.recipes.evaluate
    import bertwright.recipes.finetuning.finetune
    import bertwright.recipes.laddering.ladder
    import bertwright.recipes.pretrain  # noqa: F401  # what they import is what takes long

    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # copies that have ended are not waited for
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                door.close()
                code = 1
                try:
                    code = _answer(line)
                except BaseException:  # noqa: BLE001  # a copy must not go on with what its original does
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    line.send(str(code).encode())
                    os._exit(code)
            line.close()


def _answer(line: socket.socket) -> int:
    from bertwright.cli.main import main

    message, streams, _, _ = socket.recv_fds(line, 1 << 20, 3)
    while not message.endswith(b"\n"):
        message += line.recv(1 << 20)
    arguments, folder, environment = json.loads(message)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if arguments[:1] == ["--python"]:
        exec(compile(Path(arguments[1]).read_text(encoding="utf-8"), arguments[1], "exec"), {"__name__": "__main__"})
        return 0
    return main(arguments)


if __name__ == "__main__":
    _serve(sys.argv[1])
