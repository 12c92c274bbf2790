"""The README's subscriber, run as it stands: it prints each committed voice once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from kafka import KafkaProducer

from ..alerts.saying import spoken
from .processes import ROOT, eventually, iskra

README = (ROOT / "README.md").read_text()
SUBSCRIBER = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[1]


def test_the_readmes_subscriber_prints_each_voice(broker: str, tmp_path: Path) -> None:
    settings = {"ISKRA_KAFKA__BOOTSTRAP": broker, "ISKRA_KAFKA__TOPIC_PREFIX": "subscribed"}
    assert iskra("topics", "apply", "--partitions", "1", settings=settings).returncode == 0
    code = SUBSCRIBER.replace("127.0.0.1:9092", broker).replace("iskra.voices.v1", "subscribed.voices.v1")
    assert code.count(broker) == 1
    printed = tmp_path / "printed.txt"
    with printed.open("w") as out:
        subscriber = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=out)
    producer = KafkaProducer(bootstrap_servers=broker, acks="all")
    try:
        value = spoken("raise").model_dump_json(by_alias=True, exclude_none=True).encode()

        def heard() -> bool:
            # A subscriber without a group begins at the end: speak until it listens.
            producer.send("subscribed.voices.v1", key=b"seam:network_infrastructure", value=value).get(10)
            return printed.read_text() != ""

        eventually(heard, within_s=20, what="a printed voice")
    finally:
        producer.close()
        subscriber.kill()
        subscriber.wait(10)
    assert printed.read_text().splitlines()[0] == "seam:network_infrastructure Alarm voice_raised 0.81"
