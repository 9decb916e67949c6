"""The Python interpreters of this host. A path proves nothing: an upgrade may have put another one there."""

import os
import re
import subprocess
import sys
from typing import Dict, Iterable, List, Tuple

_NAME = re.compile(r"python3\.(\d+)\Z")
_ASK = "import sys; print({'cpython': 'cp'}.get(sys.implementation.name, 'other') + '%d%d' % sys.version_info[:2])"
_ASK_LIMIT_SECONDS = 10.0
"""An interpreter that can't print a line within this is none."""
_USUAL = ("/usr/local/bin", "/usr/bin", "/opt/python/bin")

_Identity = Tuple[str, int, int, int, int]


class Pythons:
    """Finds interpreters and asks each file for its abi until it answers.

    No answer is never remembered: a busy boot, no room for a process or a library that is replaced pass.
    """

    def __init__(self, folders: Iterable[str] = ()) -> None:
        """Look into ``folders``, or into those of PATH, of this interpreter, and the usual ones."""
        path = os.environ.get("PATH", "").split(os.pathsep)
        given = list(folders)
        self._folders = given or [*path, os.path.dirname(sys.executable or "/"), *_USUAL]
        self._known: Dict[_Identity, str] = {}

    def abi_of(self, path: str) -> str:
        """Return the abi of the interpreter at ``path``, such as ``cp311``; empty when it is none."""
        try:
            facts = os.stat(path)
        except (OSError, ValueError):
            return ""
        identity = (path, facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)
        abi = self._known.get(identity) or _ask(path)
        if abi:
            self._known[identity] = abi
        return abi

    def by_abi(self) -> Dict[str, str]:
        """Return the path of one interpreter per abi; the first found counts."""
        found: Dict[str, str] = {}
        for path, abi in self._named():
            if abi not in found and self.abi_of(path) == abi:
                found[abi] = path
        return found

    def _named(self) -> List[Tuple[str, str]]:
        named: List[Tuple[str, str]] = []
        for folder in self._folders:
            try:
                names = sorted(os.listdir(folder)) if os.path.isabs(folder) else []
            except OSError:
                continue
            matches = [(name, _NAME.match(name)) for name in names]
            named.extend((os.path.join(folder, name), "cp3" + match.group(1)) for name, match in matches if match)
        return named


def _ask(path: str) -> str:
    """Return what the interpreter says about itself; empty when it does not run."""
    command = [path, "-I", "-S", "-B", "-c", _ASK]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError):
        return ""
    try:
        answer = child.communicate(timeout=_ASK_LIMIT_SECONDS)[0]
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return ""
    return answer.decode("ascii", "replace").strip() if child.returncode == 0 else ""
