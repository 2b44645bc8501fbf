"""Write tests/second_store.lock anew: every jar of the MongoDB server that the tests use beside the embedded store.

python scripts/lock_second_store.py 1.47.0
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import click
import jgo

LOCK = Path(__file__).resolve().parents[1] / "tests" / "second_store.lock"
SLF4J = "2.0.17"  # the line of slf4j-api that the server uses
ECJ = "3.42.0"  # compiles the few lines that start it: the Java that Kafka runs on has no compiler


@click.command()
@click.argument("version")
def main(version: str) -> None:
    """Resolve mongo-java-server VERSION and write the lock."""
    server = f"de.bwaldvogel:mongo-java-server:{version}"
    lines = []
    for artifact in jgo.resolve(f"{server}+org.slf4j:slf4j-nop:{SLF4J}+org.eclipse.jdt:ecj:{ECJ}"):
        digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
        lines.append(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {digest}")
    header = (
        f"# mongo-java-server {version} and a compiler for SecondStore.java; made by scripts/lock_second_store.py\n"
    )
    LOCK.write_text(header + "\n".join(sorted(lines)) + "\n")
    click.echo(f"{len(lines)} jars written to {LOCK}")


if __name__ == "__main__":
    main()
