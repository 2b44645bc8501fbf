"""What streams were about: episodes, shares of time, alerts and the rules that raise them."""

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
from framewatch.web.api.parameters import Moment, Paged, Period, StreamName, Text, Which, cursor_of, now_us
from framewatch.web.api.responses import answer
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


class EpisodesQuery(Which, Paged):
    """Which episodes, and which part of the list."""


class StatsQuery(Period):
    """Of what the shares are asked."""

    since: Moment | None = Field(None, description="without one: a day before until")
    stream: StreamName | None = Field(None, description="of this stream")


class AlertsQuery(Period, Paged):
    """Which alerts, and which part of the list."""

    stream: StreamName | None = Field(None, description="of this stream")
    rule: Text | None = Field(None, description="raised by the rule of this name")
    open: bool = Field(False, description="only those that still last")


def blueprint(records: Records, rules: Sequence[Rule]) -> APIBlueprint:
    """The room of the analysis over what is stored.

    Args:
        records: where it is stored.
        rules: that the worker holds its streams to.
    """
    room = APIBlueprint("analysis", __name__, abp_tags=[Tag(name="analysis")], abp_responses={"503": Problem})

    @room.get("/episodes", responses={"200": EpisodePageOut})
    def episodes(query: EpisodesQuery) -> Response:
        """Stretches of one label on one stream that reach into the period, newest first."""
        page = records.episodes.page(query.where(), query.limit, query.cursor)
        out = [EpisodeOut.of(episode) for episode in page.episodes]
        return answer(EpisodePageOut.model_construct(episodes=out, next_cursor=_next(page.cursor)))

    @room.get("/stats", responses={"200": StatsOut})
    def stats(query: StatsQuery) -> Response:
        """Events of each label, and how long each was seen on each stream, in a period: the last day without one.

        A period that reaches into the future, or beyond what is kept, is cut there: the answer says how.
        """
        now = now_us()
        until_us = now if query.until is None else min(query.until, now)
        since_us = until_us - _DAY_US if query.since is None else query.since
        if records.retention_us is not None:
            since_us = max(since_us, now - records.retention_us)
        since_us = min(since_us, until_us)
        where = EventFilter(query.stream, None, since_us, until_us)
        told = [ShareOut(**asdict(share)) for share in shares(records.episodes.within(where), since_us, until_us)]
        counts = records.events.counts(where)
        return answer(StatsOut(since_us=since_us, until_us=until_us, events=counts, shares=told))

    @room.get("/alerts", responses={"200": AlertPageOut})
    def alerts(query: AlertsQuery) -> Response:
        """Rules that were broken, newest first."""
        where = EventFilter(query.stream, None, query.since, query.until)
        page = records.alerts.page(where, query.rule, query.open, query.limit, query.cursor)
        out = [AlertOut.of(alert) for alert in page.alerts]
        return answer(AlertPageOut.model_construct(alerts=out, next_cursor=_next(page.cursor)))

    @room.get("/rules", responses={"200": RulesOut})
    def all_rules() -> Response:
        """The rules in force."""
        return answer(RulesOut.model_validate({"rules": list(rules)}))

    return room


def _next(cursor: int | None) -> str | None:
    return None if cursor is None else cursor_of(cursor)
