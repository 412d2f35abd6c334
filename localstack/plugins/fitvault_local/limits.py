"""Throttles and quotas as API Gateway applies them."""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any


class Limits:
    """Token buckets and counters, each under a key of the caller's choice."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._buckets: dict[Hashable, tuple[float, float]] = {}
        self._used: dict[Hashable, int] = {}

    def take(self, key: Hashable, rate: float, burst: float) -> bool:
        """One token of a bucket of `burst` that gains `rate` a second; False where it is empty."""
        with self._lock:
            now = self._clock()
            tokens, at = self._buckets.get(key, (burst, now))
            tokens = min(burst, tokens + (now - at) * rate)
            allowed = tokens >= 1
            self._buckets[key] = (tokens - 1 if allowed else tokens, now)
            return allowed

    def count(self, key: Hashable, limit: int) -> bool:
        """Counts one; False from the one after `limit` on."""
        with self._lock:
            self._used[key] = self._used.get(key, 0) + 1
            return self._used[key] <= limit


def period_start(period: str, now: datetime | None = None) -> date:
    """The first day of the quota period that holds `now`; weeks begin on Sundays."""
    day = (now or datetime.now(UTC)).date()
    if period == "MONTH":
        return day.replace(day=1)
    if period == "WEEK":
        return day - timedelta(days=(day.weekday() + 1) % 7)
    return day


def stage_throttle(settings: Mapping[str, Mapping[str, Any]], path: str, method: str) -> tuple[str, float, int] | None:
    """The stage's throttle for a method: the bucket's name, rate and burst. A method's own goes before `*/*`."""
    escaped = path.strip("/").replace("/", "~1")
    for name in (f"~1{escaped}/{method}", f"{escaped}/{method}", f"{path.lstrip('/')}/{method}", "*/*"):
        rate = settings.get(name, {}).get("throttlingRateLimit")
        if rate is not None and float(rate) >= 0:
            return name, float(rate), int(settings[name].get("throttlingBurstLimit") or 1)
    return None
