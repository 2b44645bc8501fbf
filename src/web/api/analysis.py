"""Episodes, shares of time, alerts, and the rules that raise them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from framewatch.activity.rule import Rule
from framewatch.activity.shares import shares
from framewatch.model.filters import EventFilter
from framewatch.web.api.parameters import Filters, Moment, Paged, Period, StreamName, Text, cursor_of, now_us
from framewatch.web.api.responses import json_response
from framewatch.web.event_schemas import (
    AlertOut,
    AlertPageOut,
    EpisodeOut,
    EpisodePageOut,
    RulesOut,
    ShareOut,
    StatsOut,
)
from framewatch.web.records import Records
from framewatch.web.schemas import Problem

_DAY_US: Final = 24 * 3600 * 1_000_000


class EpisodesQuery(Filters, Paged):
    """Filters of episodes, and the page."""


class StatsQuery(Period):
    """Filters of the shares."""

    since: Moment | None = Field(None, description="without one: a day before `until`")
    stream: StreamName | None = Field(None, description="of this stream")


class AlertsQuery(Period, Paged):
    """Filters of alerts, and the page."""

    stream: StreamName | None = Field(None, description="of this stream")
    rule: Text | None = Field(None, description="raised by the rule of this name")
    open: bool = Field(False, description="only ongoing ones")


def blueprint(records: Records, rules: Sequence[Rule]) -> APIBlueprint:
    """The section of episodes, shares, alerts and rules.

    Args:
        records: where they are stored.
        rules: that the worker applies.
    """
    section = APIBlueprint("analysis", __name__, abp_tags=[Tag(name="analysis")], abp_responses={"503": Problem})

    @section.get("/episodes", responses={"200": EpisodePageOut})
    def episodes(query: EpisodesQuery) -> Response:
        """Episodes that overlap the period, newest first: unbroken stretches of one label on one stream."""
        page = records.episodes.page(query.where(), query.limit, query.cursor)
        out = [EpisodeOut.of(episode) for episode in page.episodes]
        return json_response(EpisodePageOut.model_construct(episodes=out, next_cursor=_next(page.cursor)))

    @section.get("/stats", responses={"200": StatsOut})
    def stats(query: StatsQuery) -> Response:
        """Number of events of each label, and how long each label was seen on each stream.

        Without a period: of the last day. A period that begins before the oldest stored data or ends in the future is
        cut; the answer has the period that was used.
        """
        now = now_us()
        until_us = now if query.until is None else min(query.until, now)
        since_us = until_us - _DAY_US if query.since is None else query.since
        if records.retention_us is not None:
            since_us = max(since_us, now - records.retention_us)
        since_us = min(since_us, until_us)
        where = EventFilter(query.stream, None, since_us, until_us)
        out = [ShareOut(**asdict(share)) for share in shares(records.episodes.within(where), since_us, until_us)]
        counts = records.events.counts(where)
        return json_response(StatsOut(since_us=since_us, until_us=until_us, events=counts, shares=out))

    @section.get("/alerts", responses={"200": AlertPageOut})
    def alerts(query: AlertsQuery) -> Response:
        """Alerts, newest first."""
        where = EventFilter(query.stream, None, query.since, query.until)
        page = records.alerts.page(where, query.rule, query.open, query.limit, query.cursor)
        out = [AlertOut.of(alert) for alert in page.alerts]
        return json_response(AlertPageOut.model_construct(alerts=out, next_cursor=_next(page.cursor)))

    @section.get("/rules", responses={"200": RulesOut})
    def all_rules() -> Response:
        """The rules that raise alerts."""
        return json_response(RulesOut.model_validate({"rules": list(rules)}))

    return section


def _next(cursor: int | None) -> str | None:
    return None if cursor is None else cursor_of(cursor)
