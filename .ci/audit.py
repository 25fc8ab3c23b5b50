"""What ships: known weaknesses, licences and a bill of materials of requirements.lock, into build/audit/. `make audit`.

The tools run in environments of their own (uv), so that none of them stands in our lock. Exit 1: a known weakness or a
licence that may not ship; 3: nothing bad was found, but weaknesses could not be looked up (offline).
"""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LOCK = HOUSE / "requirements.lock"
OUT = HOUSE / "build" / "audit"
TOOLS = {"pip-audit": "2.10.1", "pip-licenses": "5.5.5", "cyclonedx-bom": "7.5.0"}
REFUSED = re.compile(r"(?<!L)GPL|Affero|GNU General|Elastic|SSPL|BUSL|UNKNOWN", re.IGNORECASE)
FREE = re.compile(r"MIT|BSD|Apache|LGPL|Lesser|MPL|PSF|ISC")
"""A licence that offers one of these beside a refused one may be taken under it."""
READ = {"docx2txt": "MIT"}
"""Packages that do not say it where tools look: read in the licence file that they ship."""
UNCHECKED = 3


def main() -> int:
    """Run the three, say one line of each."""
    OUT.mkdir(parents=True, exist_ok=True)
    bad = [licences(), bill()]
    weak = weaknesses()
    return 1 if any(bad) or weak == 1 else weak


def tool(package: str, command: str, *args: str) -> "subprocess.CompletedProcess[str]":
    """A tool in an environment of its own."""
    source = f"{package}=={TOOLS[package]}"
    run = [str(BIN / "uv"), "tool", "run", "-q", "--from", source, command, *args]
    return subprocess.run(run, cwd=HOUSE, capture_output=True, text=True, check=False)  # noqa: S603  # our own uv


def locked() -> set[str]:
    """The names of what ships."""
    return {plain(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", LOCK.read_text("utf-8"), re.MULTILINE)}


def plain(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licences() -> int:
    """Every package's licence into licences.csv; 1 where one may not ship."""
    done = tool("pip-licenses", "pip-licenses", "--python", str(BIN / "python"), "--from=mixed", "--format=csv")
    if done.returncode:
        return failed("licences", done)
    ships = locked()
    rows = [row for row in csv.DictReader(done.stdout.splitlines(keepends=True)) if plain(row["Name"]) in ships]
    rows = [row | {"License": READ.get(plain(row["Name"]), row["License"])} for row in rows]
    with (OUT / "licences.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["Name", "Version", "License"], extrasaction="ignore")
        table.writeheader()
        table.writerows({**row, "License": " ".join(row["License"].split())[:120]} for row in rows)
    refused = [row for row in rows if not may_ship(row["License"])]
    print(f"licences: {len(rows)} packages, {len(refused)} that may not ship")
    for row in refused:
        print(f"  {row['Name']} {row['Version']}: {row['License'][:80]}")
    return int(bool(refused))


def may_ship(licence: str) -> bool:
    """Whether a licence lets a product be shipped without its own source."""
    return not REFUSED.search(licence) or bool(FREE.search(REFUSED.sub("", licence)))


def bill() -> int:
    """The bill of materials, CycloneDX, from the lock and its hashes: needs no network."""
    target = OUT / "sbom.cdx.json"
    options = ("--output-reproducible", "--of", "JSON", "-o", str(target))
    done = tool("cyclonedx-bom", "cyclonedx-py", "requirements", str(LOCK), *options)
    if done.returncode:
        return failed("bill of materials", done)
    parts = len(json.loads(target.read_text("utf-8"))["components"])
    print(f"bill of materials: {parts} components in build/audit/{target.name}")
    return 0


def weaknesses() -> int:
    """Known weaknesses by PyPI's advisories; what could not be looked up is no clean bill."""
    options = ("-r", str(LOCK), "--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")
    done = tool("pip-audit", "pip-audit", *options)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"weaknesses: NOT CHECKED, the advisories cannot be reached ({said[:120]})")
        return UNCHECKED
    (OUT / "weaknesses.json").write_text(json.dumps(found, indent=1), "utf-8")
    skipped = [row for row in found if "skip_reason" in row]
    weak = [row for row in found if row.get("vulns")]
    print(f"weaknesses: {len(weak)} of {len(found) - len(skipped)} packages have a known one")
    for row in weak:
        print(f"  {row['name']} {row['version']}: {', '.join(each['id'] for each in row['vulns'])}")
    if skipped:
        print(f"weaknesses: NOT CHECKED for {len(skipped)} packages: {skipped[0]['skip_reason'][:120]}")
    return 1 if weak else UNCHECKED if skipped else 0


def failed(what: str, done: "subprocess.CompletedProcess[str]") -> int:
    """Say which tool failed, and why."""
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    print(f"{what}: NOT MADE: {said[:200]}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
