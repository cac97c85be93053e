"""What the official Python SDK makes of datafiles.

Reads a JSON object a line, {"datafile": text, "calls": [...]}, and answers each with a line: whether the SDK takes the
datafile, and the request that each call sends, null where it sends none. Sends nothing anywhere: the SDK's dispatcher
is replaced by one that keeps what it is given.
"""

import json
import logging
import re
import sys

from optimizely import optimizely
from optimizely.event.event_processor import ForwardingEventProcessor
from optimizely.helpers.sdk_settings import OptimizelySdkSettings
from optimizely.optimizely_user_context import OptimizelyUserContext


class Recorder:
    def __init__(self):
        self.sent = []

    def dispatch_event(self, event):
        self.sent.append({"url": event.url, "body": event.params})


def activate(client, call):
    client.set_forced_variation(call["experiment"], call["user"], call["variation"])
    client.activate(call["experiment"], call["user"], call["attributes"])


def decide(client, call):
    user = client.create_user_context(call["user"], call["attributes"])
    rule = OptimizelyUserContext.OptimizelyDecisionContext(call["flag"], call["experiment"])
    user.set_forced_decision(rule, OptimizelyUserContext.OptimizelyForcedDecision(call["variation"]))
    user.decide(call["flag"])


def track(client, call):
    client.track(call["event"], call["user"], call["attributes"], call["tags"])


CALLS = {"activate": activate, "decide": decide, "track": track}


def sent_by(client, recorder, call):
    recorder.sent.clear()
    try:
        CALLS[call["kind"]](client, call)
    except Exception:  # An SDK that fails sends nothing, and that is what is asked.
        return None
    return recorder.sent[0] if recorder.sent else None


def answer(datafile, calls):
    recorder = Recorder()
    try:
        client = optimizely.Optimizely(
            datafile,
            event_processor=ForwardingEventProcessor(recorder),
            settings=OptimizelySdkSettings(odp_disabled=True),
        )
    except Exception as error:
        return {"taken": False, "reason": repr(error)}
    if client.config_manager.get_config() is None:
        return {"taken": False, "reason": "not valid"}
    return {"taken": True, "sent": [sent_by(client, recorder, call) for call in calls]}


def without_halves(text):
    """A half of a surrogate pair is written out, since not every reader takes it."""
    return re.sub("[\ud800-\udfff]", "<half of a pair>", text)


def main():
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        request = json.loads(line)
        text = json.dumps(answer(request["datafile"], request["calls"]), ensure_ascii=False)
        sys.stdout.buffer.write(without_halves(text).encode() + b"\n")
    sys.stdout.flush()


main()
