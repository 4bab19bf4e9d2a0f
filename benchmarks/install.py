"""Installs what mpipar is compared with: the extra ``bench``, and primesieve.
python install.py

All at once; or, if that fails, one by one, and notes which could not be installed and why. Never
fails itself.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys

from common import HERE
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
    """Install Debian's primesieve, if that can be done; return why not, or nothing."""
    if shutil.which("primesieve"):
        return ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return "apt-get install primesieve, as root"
    command = ["apt-get", "install", "--yes", "--quiet", "primesieve"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return f"no end after {LIMIT:.0f} s"
    lines = ended.stderr.splitlines()
    if ended.returncode == 0:
        return ""
    return lines[-1] if lines else f"apt-get: exit code {ended.returncode}"


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
