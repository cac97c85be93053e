"""The official Python SDK as a peer of bench/run: the same arguments, the same line of JSON.

Events are made by the SDK's UserEventFactory and handed to its BatchEventProcessor, which sends them with its own
EventDispatcher, one request at a time; it has no setting for more.
"""

import argparse
import itertools
import json
import logging
import queue
import resource
import sys
import threading
import time
from importlib.metadata import version

from optimizely import optimizely
from optimizely.event.event_processor import BatchEventProcessor
from optimizely.event.user_event_factory import UserEventFactory
from optimizely.event_dispatcher import EventDispatcher

COULD_NOT_SEND = []


class Errors(logging.Handler):
    """The SDK's dispatcher tells only the log that a request has failed."""

    def emit(self, record):
        COULD_NOT_SEND.append(record.getMessage())


class Maker:
    def __init__(self, asked):
        with open(asked.datafile, encoding="utf-8") as file:
            client = optimizely.Optimizely(datafile=file.read())
        self.config = client.config_manager.get_config()
        with open(asked.events, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.lines = [(line["user_id"], line["experiment"], line["variation"], line["attributes"]) for line in lines]

    def make(self, n):
        user, experiment_key, variation_key, attributes = self.lines[n % len(self.lines)]
        experiment = self.config.get_experiment_from_key(experiment_key)
        variation = self.config.get_variation_from_key(experiment_key, variation_key)
        return UserEventFactory.create_impression_event(
            self.config, experiment, variation.id, "", experiment_key, "experiment", True, user, attributes, None
        )


def resident_kib(name):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))


def fill(processor, maker, count, threads):
    """Nanoseconds for each event of a thread: wall-clock, and processor time of that thread."""
    cpu = []

    def own():
        before = time.thread_time()
        for n in range(count // threads):
            processor.process(maker.make(n))
        cpu.append(time.thread_time() - before)

    running = [threading.Thread(target=own) for _ in range(threads)]
    started = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    wall = time.perf_counter() - started
    each = count // threads
    return wall * 1e9 / each, sum(cpu) * 1e9 / each / threads


def enqueue(asked):
    maker = Maker(asked)
    events = queue.Queue()
    # Not started, so that nothing is delivered.
    processor = BatchEventProcessor(event_queue=events)
    before = resident_kib("VmRSS:")
    wall_new, _ = fill(processor, maker, asked.count, asked.threads)
    mib = (resident_kib("VmRSS:") - before) / 1024 / asked.count * 1e6
    events.queue.clear()
    rounds = []
    for _ in range(10):
        rounds.append(fill(processor, maker, asked.count // 20, asked.threads))
        events.queue.clear()
    wall, cpu = (sum(each) / len(rounds) for each in zip(*rounds))
    return {"ns": wall, "ns_new_memory": wall_new, "cpu_ns": cpu, "mib_per_million": mib}


def deliver_for(asked, maker, seconds):
    class ToServer:
        @staticmethod
        def dispatch_event(event):
            event.url = asked.url
            EventDispatcher.dispatch_event(event)

    # Room for four requests; where there is none, the SDK would drop the event.
    events = queue.Queue(maxsize=4 * asked.batch)
    processor = BatchEventProcessor(ToServer, event_queue=events, batch_size=asked.batch, start_on_init=True)
    ends = time.perf_counter() + seconds
    for n in itertools.count():
        while events.full():
            time.sleep(0.0005)
        processor.process(maker.make(n))
        if time.perf_counter() >= ends:
            break
    events.put(BatchEventProcessor._SHUTDOWN_SIGNAL)  # What stop() does, which then waits for five seconds at most.
    processor.executor.join()
    if COULD_NOT_SEND:
        raise SystemExit(f"{len(COULD_NOT_SEND)} requests failed: {COULD_NOT_SEND[0]}")
    return n + 1


def deliver(asked):
    if asked.in_flight > 64:
        return {"without": "sends one request at a time, however many others have in flight"}
    maker = Maker(asked)
    deliver_for(asked, maker, asked.seconds / 10)
    started, cpu = time.perf_counter(), time.process_time()
    count = deliver_for(asked, maker, asked.seconds)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "per_second": count / wall,
        "cpu_s_per_million": cpu / count * 1e6,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["version", "enqueue", "deliver"])
    parser.add_argument("--datafile")
    parser.add_argument("--events")
    parser.add_argument("--count", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--url")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--in-flight", type=int)
    asked = parser.parse_args()
    if asked.what == "version":
        print(f"{version('optimizely-sdk')} (Python {sys.version.split()[0]})")
        return
    logging.getLogger().addHandler(Errors(level=logging.ERROR))
    print(json.dumps({"enqueue": enqueue, "deliver": deliver}[asked.what](asked)))


main()
