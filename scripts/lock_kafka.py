"""Write src/embedded/kafka.lock anew: every jar that the given Kafka needs, with its SHA-256.

python scripts/lock_kafka.py 4.3.0
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import click
import jgo

LOCK = Path(__file__).resolve().parents[1] / "src" / "embedded" / "kafka.lock"
SLF4J = "1.7.36"  # the line of slf4j-api that Kafka uses; without a binding it logs nothing


@click.command()
@click.argument("version")
def main(version: str) -> None:
    """Resolve Kafka VERSION with its console tools and write the lock."""
    kafka = f"org.apache.kafka:kafka_2.13:{version}+org.apache.kafka:kafka-tools:{version}"
    lines = []
    for artifact in jgo.resolve(f"{kafka}+org.slf4j:slf4j-simple:{SLF4J}"):
        digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
        lines.append(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {digest}")
    header = f"# Kafka {version}: Maven coordinates and SHA-256 of each jar; made by scripts/lock_kafka.py\n"
    LOCK.write_text(header + "\n".join(sorted(lines)) + "\n")
    click.echo(f"{len(lines)} jars written to {LOCK}")


if __name__ == "__main__":
    main()
