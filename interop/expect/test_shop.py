"""The whole story with pytest and the official SDK: test_a_wrong_price is run too, and is to fail with the field named."""

import os
import pathlib

import pytest
from optimizely import optimizely
from posthaste_collector import Collector, UnusableCollector

from shop import buy, buy_as_it_was

DATAFILE = pathlib.Path(os.environ["POSTHASTE_DATAFILE"]).read_text(encoding="utf-8")


# What a user writes.
def test_a_purchase_is_reported(collector):
    client = optimizely.Optimizely(DATAFILE, event_dispatcher=collector.dispatcher)
    buy(client, "ann", 1200)
    client.close()
    collector.expect({"visitor": "ann", "key": "purchase", "revenue": 1200, "tags": {"sku": "A1"}}, no_bad=True)


@pytest.mark.wrong
def test_a_wrong_price(collector):
    client = optimizely.Optimizely(DATAFILE, event_dispatcher=collector.dispatcher)
    buy_as_it_was(client, "ann", 1200)
    client.close()
    collector.expect({"visitor": "ann", "key": "purchase", "revenue": 1200}, wait=0.5)


def test_nothing_of_other_tests_is_here(collector):
    collector.expect({"visitor": "ann", "count": 0}, wait=0)
    assert collector.events() == []


def test_the_variation_is_known_by_its_key(collector):
    client = optimizely.Optimizely(DATAFILE, event_dispatcher=collector.dispatcher)
    buy(client, "ann", 1200)
    client.close()
    collector.expect({"experiment": "checkout_button", "attributes": {"plan": "pro"}}, {"key": "purchase", "count": 1})
    assert [event["key"] for event in collector.events(key="purchase")] == ["purchase"]


def test_what_is_missing_is_said(collector):
    with pytest.raises(AssertionError, match="came 0\nnote: no event"):
        collector.expect({"visitor": "ann"}, wait=0)


def test_a_pattern_that_cannot_be_used_is_no_failed_expectation(collector):
    with pytest.raises(UnusableCollector, match='did you mean "visitor"'):
        collector.expect({"vistor": "ann"})
    with pytest.raises(UnusableCollector, match="is it running"):
        Collector("http://127.0.0.1:9").session().expect({"visitor": "ann"})
    with pytest.raises(UnusableCollector, match="POSTHASTE_BIN"):
        Collector.start(program="/no/such/program")


def test_one_can_be_had_without_a_fixture():
    with Collector.start() as collector:
        collector.session("one").expect({"key": "purchase", "count": 0}, wait=0)
