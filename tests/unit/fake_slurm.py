"""Slurm's programs, as they answer; what they know is a JSON file, and each call of them is put on
record.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

PROGRAMS = ("squeue", "sacct", "scancel", "sbatch", "scontrol")
NAME = ["scontrol", "show", "config"]
PING = ["scontrol", "ping"]  # on a busy machine
JOB = {
    "State": "RUNNING",
    "Reason": "None",
    "NodeList": "n[1-2]",
    "TimeUsed": "10:00",
    "TimeLimit": "1:00:00",
    "RestartCnt": "0",
    "exit_code": "0",
    "SubmitTime": "N/A",
    "StartTime": "N/A",
    "EndTime": "N/A",
    "Name": "pi",
}
ACCOUNT = {
    "State": "COMPLETED",
    "NodeList": "n1",
    "ElapsedRaw": "61",
    "TimelimitRaw": "60",
    "ExitCode": "0:0",
    "Submit": "Unknown",
    "Start": "1700000000",
    "End": "1700000061",
    "JobName": "pi",
}


class FakeSlurm:
    """Slurm's programs in a folder that is the whole path. "calls" are all but the question for the
    cluster's name.

    The state has "queue" {id: fields} and "accounts" likewise, or None if there are none; "down" if
    the controller isn't reached; "name", the cluster's; "said" {program: [code, stdout, stderr]};
    and "obeys", what a job becomes when it is signalled.
    """

    def __init__(self, folder: Path, monkeypatch: Any) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for name in PROGRAMS:
            program = folder / name
            program.write_text(
                f"#!{sys.executable} -SE\nimport runpy\nrunpy.run_path({__file__!r},"
                f" run_name='{name}')\n"
            )
            program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        self.set()

    def set(self, **state: Any) -> None:
        aside = self.folder / "state.new"
        aside.write_text(json.dumps({"queue": {}, "accounts": None, **state}))
        os.replace(aside, self.folder / "state.json")

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.folder / "state.json").read_text())

    @property
    def calls(self) -> list[list[str]]:
        path = self.folder / "calls"
        calls = (
            [json.loads(line)[0] for line in path.read_text().splitlines()] if path.exists() else []
        )
        return [call for call in calls if call not in (NAME, PING)]

    @property
    def environments(self) -> list[dict[str, str]]:
        lines = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [environment for call, environment in lines if call not in (NAME, PING)]

    def called(self, program: str) -> list[list[str]]:
        return [call[1:] for call in self.calls if call[0] == program]


def job(**fields: str) -> dict[str, str]:
    return {**JOB, **fields}


def account(**fields: str) -> dict[str, str]:
    return {**ACCOUNT, **fields}


def answer(program: str, folder: Path, arguments: list[str]) -> int:
    path = folder / "state.json"
    state = json.loads(
        there := path.read_text()
    )  # before it is told of the call: a test may change it then
    with (folder / "calls").open("a") as file:
        file.write(json.dumps([[program, *arguments], dict(os.environ)]) + "\n")
    if program in state.get("said", {}):
        code, out, err = state["said"][program]
        sys.stdout.buffer.write(out.encode("utf-8", "surrogateescape"))
        sys.stderr.write(err)
        return code
    options = dict(
        word[2:].split("=", 1) for word in arguments if word.startswith("--") and "=" in word
    )
    if program == "sacct":
        if state["accounts"] is None:
            print("Slurm accounting storage is disabled", file=sys.stderr)
            return 1
        show(
            state["accounts"],
            options["jobs"],
            options["format"].split(","),
            options["delimiter"],
            "JobID",
            "",
        )
        return 0
    if state.get("down"):
        print(
            f"{program}: error: Unable to contact slurm controller (connect failure)",
            file=sys.stderr,
        )
        return 1
    if [program, *arguments] == NAME:
        print(
            "Configuration data as of 2026\nClusterName             = "
            + state.get("name", "")
            + "\nCompleteWait = 0"
        )
        return 0
    if program == "squeue":
        fields, marks = zip(
            *(field.split(":", 1) for field in options["Format"].split(",")), strict=True
        )
        known = show(state["queue"], options["jobs"], fields, marks[0], "JobArrayID", marks[0])
        if not known and "," not in options["jobs"]:
            print("slurm_load_jobs error: Invalid job id specified", file=sys.stderr)
            return 1
    elif program == "scancel":
        asked_again = False
        for asked in (word for word in arguments if not word.startswith("--")):
            for id, fields in state["queue"].items():
                # With a state, of tasks that wait all.
                every = "state" in options and fields["State"] == "PENDING"
                if matches(id, [asked.partition("_")[0] if every else asked]) and fields[
                    "State"
                ] == options.get("state", fields["State"]):
                    signalled = fields["State"] == "RUNNING" and "signal" in options
                    if "signal" not in options and fields["State"] in ("PENDING", "RUNNING"):
                        fields["State"] = "CANCELLED"
                    elif signalled:
                        fields.update(state.get("obeys", {}))
                        asked_again |= any(
                            matches(other, [id.partition("_")[0]]) and more["State"] == "PENDING"
                            for other, more in state["queue"].items()
                        )
        if state != json.loads(there):
            path.write_text(json.dumps(state))
        if (
            asked_again
        ):  # of an array with tasks that wait: it signals, and does so again 5 s later, three times
            time.sleep(5)
            with (folder / "calls").open("a") as file:
                file.write(json.dumps([["scancel", "again"], {}]) + "\n")
            return 229
    return 0


def show(jobs: dict[str, Any], asked: str, fields: Any, mark: str, number: str, end: str) -> int:
    known = {id: values for id, values in jobs.items() if matches(id, asked.split(","))}
    for id, values in known.items():
        line = mark.join({number: id, **values}[field] for field in fields) + end + "\n"
        sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape"))
    return len(known)


def matches(id: str, asked: list[str]) -> bool:
    return id in asked or id.partition("_")[0] in asked


if __name__ in PROGRAMS:
    sys.exit(answer(__name__, Path(os.environ["PATH"]), sys.argv[1:]))
