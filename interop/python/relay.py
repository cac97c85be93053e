"""The official Python SDK, pointed at a relay as docs/RELAY.md says.

    python relay.py URL DATAFILE PREFIX USERS [--batch] [--until FILE]

For each user PREFIX-0, PREFIX-1, ... it decides on a flag or activates an experiment, forced so that exactly one
impression follows, and tracks one conversion; then it closes the client. The SDK sends each event by itself, unless
--batch makes it send ten at a time. With --until it goes on with further users, round after round, until that file
exists. It prints a line of JSON for each thing that happens:

    {"notified": [uuids]}               the SDK told its listeners of a request
    {"status": 204, "uuids": [uuids]}   a request was answered; those of a 204 must arrive
    {"error": text, "uuids": [uuids]}   a request got no answer; they may have arrived
    {"done": true, "users": n}          the client is closed, and nothing is under way any more
"""

import argparse
import json
import logging
import math
import os
import sys
import threading
import time

from optimizely import optimizely
from optimizely.event_dispatcher import EventDispatcher
from optimizely.helpers.enums import NotificationTypes
from optimizely.optimizely_user_context import OptimizelyUserContext
from requests.adapters import HTTPAdapter

ROUNDS_FOR = 600.0  # Should the file never come, the program ends all the same.
PAUSE = 0.05
QUEUED_MAX = 500  # Half of what the SDK's queue holds: beyond the whole of it, the SDK drops events.

printing = threading.Lock()


def print_line(line):
    with printing:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def uuids_of(event):
    visitors = event.params["visitors"]
    snapshots = [snapshot for visitor in visitors for snapshot in visitor["snapshots"]]
    return [happened["uuid"] for snapshot in snapshots for happened in snapshot["events"]]


class Answer:
    """What the last request came to. The SDK's dispatcher swallows it, so it is read below it, in `requests`."""

    last = None

    @staticmethod
    def watch():
        send = HTTPAdapter.send

        def watched_send(adapter, *args, **kwargs):
            try:
                response = send(adapter, *args, **kwargs)
            except Exception as error:
                Answer.last = {"error": repr(error)}
                raise
            Answer.last = {"status": response.status_code}
            return response

        HTTPAdapter.send = watched_send


def via_relay(url):
    class ViaRelay:
        @staticmethod
        def dispatch_event(event):
            event.url = url
            EventDispatcher.dispatch_event(event)

    return ViaRelay


def watched(dispatcher):
    """Says what each request of a dispatcher came to, and changes nothing in it."""

    class Watched:
        @staticmethod
        def dispatch_event(event):
            Answer.last = {"error": "nothing was sent"}
            dispatcher.dispatch_event(event)
            print_line({**Answer.last, "uuids": uuids_of(event)})

    return Watched


def connect(url, datafile, batch):
    Answer.watch()
    client = optimizely.Optimizely(
        datafile=datafile,
        event_dispatcher=watched(via_relay(url)),
        event_processor_options={"batch_size": 10, "flush_interval": 0.2} if batch else None,
    )
    client.notification_center.add_notification_listener(
        NotificationTypes.LOG_EVENT, lambda event: print_line({"notified": uuids_of(event)})
    )
    return client


def choices(datafile):
    """What the datafile offers: a flag with an experiment, an experiment, an attribute and an event."""
    project = json.loads(datafile)
    running = [experiment for experiment in project["experiments"] if experiment["status"] == "Running"]
    flag, rule = next(
        (flag, experiment)
        for flag in project["featureFlags"]
        for experiment in running
        if experiment["id"] in flag["experimentIds"]
    )
    return {
        "attribute": project["attributes"][0]["key"],
        "event": project["events"][-1]["key"],
        "experiment": running[0],
        "flag": flag,
        "rule": rule,
    }


def visit(client, number, user, chosen):
    attributes = {chosen["attribute"]: "Größe 東京 🎈"}
    if number % 2 == 0:
        context = client.create_user_context(user, attributes)
        rule = OptimizelyUserContext.OptimizelyDecisionContext(chosen["flag"]["key"], chosen["rule"]["key"])
        variation = chosen["rule"]["variations"][0]["key"]
        context.set_forced_decision(rule, OptimizelyUserContext.OptimizelyForcedDecision(variation))
        context.decide(chosen["flag"]["key"])
    else:
        experiment = chosen["experiment"]
        client.set_forced_variation(experiment["key"], user, experiment["variations"][0]["key"])
        client.activate(experiment["key"], user, attributes)
    tags = {"revenue": 100 + number, "value": 1.5, "crème brûlée": "naïve – 日本 🎈"}
    if number % 3 == 0:
        tags["ratio"] = math.nan
    client.track(chosen["event"], user, attributes, tags)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("datafile")
    parser.add_argument("prefix")
    parser.add_argument("users", type=int)
    parser.add_argument("--batch", action="store_true")
    parser.add_argument("--until")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with open(asked.datafile, encoding="utf-8") as file:
        datafile = file.read()
    chosen = choices(datafile)
    client = connect(asked.url, datafile, asked.batch)
    processor = client.event_processor

    ends = time.monotonic() + ROUNDS_FOR
    users = 0
    while True:
        for _ in range(asked.users):
            while processor.event_queue.qsize() > QUEUED_MAX:
                time.sleep(PAUSE)
            visit(client, users, f"{asked.prefix}-{users}", chosen)
            users += 1
        if not asked.until or os.path.exists(asked.until) or time.monotonic() >= ends:
            break
        time.sleep(PAUSE)

    client.close()
    processor.executor.join()  # close() itself waits for five seconds at most, whatever is queued.
    print_line({"done": True, "users": users})


main()
