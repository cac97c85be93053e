"""Assertions on Optimizely events, for tests: a client of `posthaste collect`. One file, standard library only.

Copy it beside the tests, or put its folder on PYTHONPATH. With pytest, in conftest.py:

    pytest_plugins = ["posthaste_collector"]

and each test that takes `collector` has a session of its own:

    def test_buying_is_reported(collector):
        client = optimizely.Optimizely(datafile, event_dispatcher=collector.dispatcher)
        buy(client, "ann")
        client.close()
        collector.expect({"visitor": "ann", "key": "purchase", "revenue": 1200})

The collector is the one at POSTHASTE_COLLECTOR_URL, or else the program `posthaste` (POSTHASTE_BIN names another) is
started on a free port, once for all tests, with the datafile of POSTHASTE_DATAFILE if that is set.
"""

import contextlib
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import uuid

__all__ = ["Collector", "Session", "UnusableCollector"]

WAIT = 5.0  # Seconds, where a test says nothing else.
WAIT_MAX = 60.0  # The collector's own bound.
PATIENCE = 10.0  # Beyond a wait, before the collector counts as gone.

# Runs a program until whoever started it closes its standard input, or is gone, however it ended.
UNTIL_LEFT = '"$0" "$@" & exec >&-; read -r _; kill $! 2>/dev/null; wait $!'


class UnusableCollector(Exception):
    """The collector cannot be started or asked, or does not understand what it is asked."""


class Collector:
    """A collector that runs somewhere. `with Collector.start() as collector:` runs one as long as it takes."""

    def __init__(self, url):
        url = url.rstrip("/")
        self.url = url[: -len("/v1/events")] if url.endswith("/v1/events") else url
        self._process = None

    @classmethod
    def start(cls, *args, program=None):
        """Starts `posthaste collect` on a free port, with these arguments besides."""
        program = program or os.environ.get("POSTHASTE_BIN") or "posthaste"
        command = ["sh", "-c", UNTIL_LEFT, program, "collect", "--listen", "0", "--json", "-q", *args]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = process.stdout.readline()
        if not line:
            process.communicate()
            raise UnusableCollector(
                f"{program} collect ended before it was ready; is posthaste on your PATH? Or set POSTHASTE_BIN or "
                "POSTHASTE_COLLECTOR_URL"
            )
        collector = cls(json.loads(line)["url"])
        collector._process = process
        return collector

    def stop(self):
        """Ends it, if it was started here."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def session(self, name=None):
        """A session: what is sent to its own address and expected of it is apart from all else."""
        return Session(self.url, name or f"py-{uuid.uuid4()}")


class Session:
    """One test's events."""

    def __init__(self, url, name):
        self.url = url
        self.name = name
        self.events_url = f"{url}/t/{name}/v1/events"

    def expect(self, *patterns, wait=WAIT, no_bad=False):
        """Waits until all patterns hold; raises AssertionError with what is missing where they do not.

        A pattern is a dict with some of: visitor, experiment, variation, flag, key, uuid, revenue, value, tags,
        attributes, verdict, count, no_bad. docs/EXPECT.md has what each means.
        """
        __tracebackhide__ = True  # pytest then shows the test's own line.
        if wait > WAIT_MAX:
            raise ValueError(f"wait {WAIT_MAX:.0f} seconds at most")
        asked = [*patterns, *([{"no_bad": True}] if no_bad else [])]
        query = urllib.parse.urlencode({"wait": f"{int(wait * 1000)}ms"})
        path = f"/t/{self.name}/expect?{query}"
        status, answer = self._request("POST", path, json.dumps(asked).encode(), timeout=wait + PATIENCE)
        if status == 422:
            raise AssertionError(answer.rstrip())
        if status != 200:
            raise UnusableCollector(answer.rstrip() or f"{self.url}{path} answered {status}")

    def events(self, **filters):
        """The events that have come, good and bad, oldest first; filters as in GET /all."""
        query = urllib.parse.urlencode({**filters, "session": self.name})
        return json.loads(self._request("GET", f"/all?{query}")[1])

    @property
    def dispatcher(self):
        """An `event_dispatcher` for the Python SDK, which posts here."""
        return Dispatcher(self.events_url)

    def _request(self, method, path, body=None, timeout=PATIENCE):
        request = urllib.request.Request(self.url + path, body, method=method)
        try:
            with OPENER.open(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except (urllib.error.URLError, TimeoutError) as error:
            why = getattr(error, "reason", error)
            raise UnusableCollector(f"no answer from {self.url}: {why}; is it running?") from None


class Dispatcher:
    """Posts the SDK's events to a collector, and tells of failures instead of swallowing them."""

    def __init__(self, events_url):
        self.events_url = events_url

    def dispatch_event(self, event):
        headers = {"Content-Type": "application/json", **(event.headers or {})}
        body = json.dumps(event.params).encode()
        request = urllib.request.Request(self.events_url, body, headers, method="POST")
        with OPENER.open(request, timeout=PATIENCE):
            pass


# A proxy has no way to this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

with contextlib.suppress(ImportError):
    import pytest

    @pytest.fixture(scope="session")
    def posthaste_collector():
        """The collector of all tests."""
        url = os.environ.get("POSTHASTE_COLLECTOR_URL")
        with Collector(url) if url else Collector.start() as collector:
            yield collector

    @pytest.fixture
    def collector(posthaste_collector):
        """A session for one test."""
        return posthaste_collector.session()
