"""Installs what mpipar is compared with: the extra ``bench``, and primesieve.
python install.py

All at once; or, if that fails, one by one, and notes which could not be installed and why. Never
fails itself.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from common import BUILD, ENVIRONMENT, HERE, PROGRAMS_OF_OTHERS
from entrants import NOT_INSTALLED

LIMIT = 240.0  # seconds for each


def install(*packages: str) -> str:
    """Install packages; return why that failed, or nothing."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *packages,
    ]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return f"no end after {LIMIT:.0f} s"
    if ended.returncode == 0:
        return ""
    lines = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or [f"pip: exit code {ended.returncode}"])[-1]


def install_primesieve() -> str:
    """Install Debian's primesieve, as root, or unpack it into the folder of what is built; return
    why not, or nothing.
    """
    if shutil.which("primesieve", path=ENVIRONMENT["PATH"]):
        return ""
    if not shutil.which("apt-get"):
        return "there is no apt-get"
    if os.geteuid() == 0:
        refused = _done("apt-get", "update", "--quiet")
        refused = _done("apt-get", "install", "--yes", "--quiet", "primesieve") or refused
        if shutil.which("primesieve"):
            return ""
        return refused
    return _unpack_primesieve(BUILD / "debian")


def _unpack_primesieve(folder: Path) -> str:
    """Unpack primesieve and its library, which needs no root; return why not, or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    depends = ["apt-cache", "depends", "--recurse", "--important", "primesieve"]
    listed = subprocess.run(depends, capture_output=True, text=True, timeout=LIMIT)
    packages = re.findall(r"^\w*primesieve\S*$", listed.stdout, re.MULTILINE)
    refused = _done("apt-get", "download", *(packages or ["primesieve"]), folder=folder)
    if refused:
        return refused
    for package in folder.glob("*.deb"):
        refused = _done("dpkg-deb", "-x", str(package), str(folder))
        if refused:
            return refused
    found = [str(path.parent) for path in folder.glob("usr/lib/**/libprimesieve.so*")]
    PROGRAMS_OF_OTHERS.mkdir(parents=True, exist_ok=True)
    starter = PROGRAMS_OF_OTHERS / "primesieve"
    program = folder / "usr" / "bin" / "primesieve"
    paths = shlex.quote(":".join(dict.fromkeys(found)))
    starter.write_text(
        f'#!/bin/sh\nLD_LIBRARY_PATH={paths} exec {shlex.quote(str(program))} "$@"\n'
    )
    starter.chmod(0o755)
    return _done(str(starter), "--version")


def _done(*command: str, folder: Path | None = None) -> str:
    """Run a command; return why it failed, or nothing."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=folder)
    except subprocess.TimeoutExpired:
        return f"no end after {LIMIT:.0f} s"
    if ended.returncode == 0:
        return ""
    lines = ended.stderr.splitlines()
    return lines[-1] if lines else f"{command[0]}: exit code {ended.returncode}"


def wanted() -> list[str]:
    """Return the extra ``bench`` of setup.cfg."""
    configuration = configparser.ConfigParser()
    configuration.read(HERE.parent / "setup.cfg")
    return configuration["options.extras_require"]["bench"].split("\n")[1:]


def main() -> None:
    """Install what can be installed."""
    failed = {}
    if install(*wanted()):
        failed = {
            package.split()[0]: reason for package in wanted() if (reason := install(package))
        }
    if why_not := install_primesieve():
        print(f"primesieve could not be installed: {why_not}", file=sys.stderr)
    NOT_INSTALLED.parent.mkdir(exist_ok=True)
    NOT_INSTALLED.write_text(json.dumps(failed))
    for package, reason in failed.items():
        print(f"{package} could not be installed: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
