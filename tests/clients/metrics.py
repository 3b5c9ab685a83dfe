"""Reads the metrics at the address with the parsers of Prometheus' own client, in both formats, and
holds them to what they promise."""

import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus


def scrape(accept):
    request = urllib.request.Request(sys.argv[1], headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def check(families):
    assert families, "no families"
    for family in families:
        assert family.documentation, f"{family.name} has no help"
        assert family.type != "unknown", f"{family.name} has no type"
    samples = [sample for family in families for sample in family.samples]

    def total(name):
        found = [sample.value for sample in samples if sample.name == name]
        assert found, f"no {name}"
        return sum(found)

    open_now, closed = total("shoutd_connections_open"), total("shoutd_connections_closed_total")
    assert total("shoutd_connections_accepted_total") == open_now + closed
    assert total("shoutd_received_bytes_total") == total("shoutd_sent_bytes_total") == 5
    assert total("shoutd_messages_total") == 1
    for histogram in "shoutd_answer_seconds", "shoutd_transform_seconds":
        buckets = [sample for sample in samples if sample.name == f"{histogram}_bucket"]
        assert [sample.value for sample in buckets] == sorted(sample.value for sample in buckets), "not cumulative"
        assert buckets[-1].labels["le"] == "+Inf"
        assert buckets[-1].value == total(f"{histogram}_count") == 1
        assert total(f"{histogram}_sum") > 0
    assert total("shoutd_config_generation") == 1
    assert total("process_start_time_seconds") > 1_600_000_000
    return len(families)


kind, text = scrape("application/openmetrics-text; version=1.0.0")
assert kind.startswith("application/openmetrics-text"), kind
assert text.endswith("# EOF\n")
first = check(list(openmetrics(text)))
kind, text = scrape("text/plain")
assert kind.startswith("text/plain; version=0.0.4"), kind
second = check(list(prometheus(text)))
print(f"{first} families in OpenMetrics, {second} in Prometheus' text")
