"""The arithmetic of costs.md: `python docs/costs.py` prints its tables, --write puts them there, --check compares."""

import sys
from collections.abc import Callable
from math import ceil
from pathlib import Path

SIZES = (10_000, 1_000_000, 10_000_000)  # users
MONTH_H, DAYS, WEEKS, YEAR = 730, 30, 4.35, 365
AWAKE_H = 16  # of a day in which trackers send

# ---- what people do, and what a request then takes: (value, what it is, where it comes from) ----
ASSUMED = {
    "syncs": (64, "syncs a user and day", "every 15 minutes, 16 hours a day"),
    "raw_reads": (1, "pages of raw readings a user and day", "assumed"),
    "day_reads": (2, "reads of days a user and day", "assumed"),
    "recordings": (1, "recordings a user and week, each read once", "assumed"),
    "document": (500_000, "bytes of a recording", "assumed"),
    "page": (300_000, "bytes of a page of raw readings", "assumed: 1,000 data points of 300 bytes"),
    "manifest": (500, "bytes of a manifest in the table", "the fields of intake.Manifest"),
    "event": (400, "bytes of an audit event in the table", "the fields of auditlog.Event"),
    "taken": (35, "days that an audit event stays in the table once it is in the log", "shared/dynamo/auditstate.go"),
    "leaf": (800, "bytes of an audit event in the log: entry, sealed event, tiles", "shared/auditlog, assumed"),
    "noted": (110, "bytes that say whose event a leaf is", "shared/dynamo/auditstate.go"),
    "limiter": (1, "write units of limits a request", "`make bench`"),
    "lease": (0.03, "write units of an app's limit a request", "60 requests a lease (shared/limit/lease.go); assumed"),
    "limiter_reads": (1, "read units of limits a request, before the write", "shared/dynamo/limiter.go"),
    "guard_reads": (3, "documents read for each decision: caller, app, owner", "shared/edge/guard.go"),
    "ingest_gbs": (0.5 * 0.05, "GB-seconds of a sync", "512 MB (template.yaml) for 50 ms, assumed"),
    "read_gbs": (1.73 * 0.15, "GB-seconds of a page of raw readings", "1,769 MB (template.yaml) for 150 ms, assumed"),
    "project_gbs": (1.73 * 0.1, "GB-seconds of rebuilding a day", "1,769 MB (template.yaml) for 100 ms, assumed"),
    "batch": (10, "days rebuilt by one call of `project`", "assumed"),
    "new": (0.05, "accounts made a user and month", "assumed"),
    "watched": (40, "records of the audit events' stream in one call of `sentinel`", "assumed; 200 at most"),
    "watch_gbs": (0.25 * 0.02, "GB-seconds of a call of `sentinel`", "256 MB (template.yaml) for 20 ms, assumed"),
    "hold": (15 * 60, "seconds that a container of ingest holds its keys", "shared/boot/intakes/intakes.go"),
    "log": (900, "bytes of log a call", "shared/edge/record.go and Lambda's own three lines, assumed"),
    "rebuilds_acu": (200, "days rebuilt a second and ACU", "assumed; to be measured on AWS"),
    "rebuild_io": (3, "storage operations of Aurora for a rebuilt day", "assumed"),
    "row": (1_500, "bytes of a day in Aurora, index included", "assumed"),
    "peak": (3, "peak over the mean of the 16 hours", "assumed"),
}
# How a sync is sent: requests, bytes of each stored block.
FORMS = {
    "data points": (1, 3_900, "the benchmark's `sync`: 195 data points in one block of 3.6 kB, and its seal and key"),
    "data series": (2, 600, "the same as one series of heart rates and one of steps; assumed"),
}

# ---- list prices, USD, us-east-1: (value, of what) ----
PRICES = {
    "wru": (0.625e-6, "DynamoDB, on demand, a write unit of 1 KB"),
    "rru": (0.125e-6, "DynamoDB, on demand, a read unit of 4 KB, strongly consistent"),
    "ddb_gb": (0.25, "DynamoDB, storage, a GB and month"),
    "pitr_gb": (0.20, "DynamoDB, point-in-time recovery, a GB and month"),
    "kms": (0.03 / 10_000, "KMS, a request with a symmetric key"),
    "kms_pair": (0.10 / 10_000, "KMS, a P-256 data key pair"),
    "kms_sign": (0.15 / 10_000, "KMS, a signature with P-256"),
    "kms_key": (1.0, "KMS, a key and month"),
    "lambda": (0.20e-6, "Lambda, a call"),
    "acu_h": (0.12, "Aurora Serverless v2, an ACU and hour"),
    "aurora_gb": (0.10, "Aurora, storage, a GB and month"),
    "aurora_io": (0.20e-6, "Aurora, a storage operation"),
    "s3_gb": (0.023, "S3, storage, a GB and month"),
    "s3_put": (0.005 / 1_000, "S3, a PUT"),
    "s3_get": (0.0004 / 1_000, "S3, a GET"),
    "log_gb": (0.50, "CloudWatch Logs, a GB taken in"),
    "log_kept_gb": (0.03, "CloudWatch Logs, a GB and month kept (90 days)"),
    "metric": (0.30, "CloudWatch, a metric of our own and month"),
    "alarm": (0.10, "CloudWatch, a metric of an alarm and month"),
    "mau": (0.015, "Cognito Essentials, an active user above 10,000"),
    "mau_plus": (0.020, "Cognito Plus, an active user, from the first (parameter PoolEvents; not counted)"),
    "endpoint_h": (0.01, "interface endpoint, an hour in one availability zone"),
    "endpoint_gb": (0.01, "interface endpoint, a GB"),
    "out_gb": (0.09, "data out, a GB (cheaper above 10 TB; not counted)"),
}
API_TIERS = [(333e6, 3.5e-6), (667e6, 2.8e-6), (19e9, 2.38e-6), (float("inf"), 1.51e-6)]
LAMBDA_TIERS = [(6e9, 0.0000166667), (9e9, 0.000015), (float("inf"), 0.0000133334)]  # x86
KEYS, ENDPOINTS, ZONES = 10, 2, 2  # KMS keys; KMS and SSM from the VPC (DynamoDB and S3 are free gateway endpoints)
METRICS, ALARMS = 20, 33  # shared/metrics, `succeeded` of four functions and a task; metrics that alarms watch

A = {name: value for name, (value, *_) in ASSUMED.items()}
P = {name: value for name, (value, _) in PRICES.items()}


def tiered(amount: float, tiers: list[tuple[float, float]]) -> float:
    cost = 0.0
    for size, price in tiers:
        cost += min(amount, size) * price
        amount -= min(amount, size)
    return cost


def units(size: float, unit: int) -> int:
    return ceil(size / unit)


class Month:
    """What a user does in a month, in a form of syncing."""

    def __init__(self, form: str) -> None:
        requests, self.block, _ = FORMS[form]
        self.syncs = A["syncs"] * DAYS  # so often a day is rebuilt too: `project` collects by owner and day
        self.posts = self.syncs * requests
        self.raw, self.days = A["raw_reads"] * DAYS, A["day_reads"] * DAYS
        self.recordings = A["recordings"] * WEEKS
        self.api = self.posts + self.raw + self.days + 2 * self.recordings
        self.day = A["syncs"] * requests * self.block  # bytes of a whole day of readings

        written = units(A["manifest"], 1_000) + units(A["event"], 1_000) + units(self.block, 1_000)
        self.wru = (self.posts + self.recordings) * written + (self.raw + self.days + self.recordings)
        self.wru += self.api * (A["limiter"] + A["lease"])
        # project writes an event for each rebuild (functions/project/owner.go).
        self.wru += self.syncs * units(A["event"], 1_000)
        # The sequencer marks each event, and notes whose it is; what it reads is less than a unit an event.
        self.events = self.api + self.syncs
        self.wru += 2 * self.events
        # The sentinel hears of each event and of its mark; of what people do for themselves it counts recordings read.
        self.watches = 2 * self.events / A["watched"]
        self.wru += self.recordings
        # Intake reads the owner's public key; a page opens a day of blocks; a rebuild opens half a day in the mean, and
        # reads the owner's account and private key.
        checked = A["guard_reads"] + A["limiter_reads"]
        self.rru_intake = (self.posts + self.recordings) * (checked + 1)
        # The reconciler reads the manifest of each upload once; the names of what was stored come by the stream.
        self.rru_intake += (self.posts + self.recordings) * units(A["manifest"], 4_000)
        # Of who was read or rebuilt it asks, by names alone, which keys he has: half a unit in ten minutes at most.
        compared = 0.5
        self.rru_reads = compared * (self.raw + self.days + self.recordings)
        self.rru_reads += self.raw * (checked + 1 + units(self.day, 4_000)) + self.days * (checked + 1)
        self.rru_project = self.syncs * (compared + 2 + units(self.day / 2, 4_000))
        # Each read and each rebuild unwraps the owner's private key. Service keys are a container's, not a user's.
        self.kms_project, self.kms_reads = self.syncs, 3 * (self.raw + self.days + self.recordings)
        self.gbs = (
            (self.posts + self.recordings) * A["ingest_gbs"]
            + (self.raw + self.recordings) * A["read_gbs"]
            + self.days * A["project_gbs"]
            + self.syncs * A["project_gbs"]
            + self.watches * A["watch_gbs"]
        )
        self.calls = self.api + self.syncs / A["batch"] + self.watches
        self.out = self.raw * A["page"] + self.recordings * A["document"] + self.days * 10_000
        # After a year. Manifests live for 35 days, audit events too, once they are in the log, which grows.
        self.readings_gb = self.day * YEAR / 1e9
        self.requests_gb = self.posts * 35 / DAYS * A["manifest"] / 1e9
        self.events_gb = self.events * (A["taken"] / DAYS * A["event"] + 12 * A["noted"]) / 1e9
        self.log_gb = self.events * 12 * A["leaf"] / 1e9
        self.rows_gb = A["row"] * YEAR / 1e9
        self.documents_gb = A["recordings"] * 52 * A["document"] / 1e9


def per_second(users: int, monthly: float) -> float:
    """The mean rate in the hours in which trackers send."""
    return users * monthly / DAYS / (AWAKE_H * 3600)


def containers(users: int, m: Month) -> float:
    return max(1, per_second(users, m.posts) * 0.05)


def acus(users: int, m: Month) -> float:
    busy = max(0.5, per_second(users, m.syncs) / A["rebuilds_acu"])
    return (busy * AWAKE_H + 0.5 * (24 - AWAKE_H)) / 24


def lines(users: int, form: str) -> dict[str, float]:
    """USD a month, by line."""
    m, n = Month(form), users
    intake_kms = containers(n, m) * 2 * AWAKE_H * 3600 * DAYS / A["hold"]
    logs_gb = n * m.calls * A["log"] / 1e9
    stored = n * (m.readings_gb + m.events_gb)
    return {
        "API Gateway": tiered(n * m.api, API_TIERS),
        "Lambda": n * m.calls * P["lambda"] + tiered(n * m.gbs, LAMBDA_TIERS),
        "DynamoDB, writes": n * m.wru * P["wru"],
        "DynamoDB, reads of intake and readers": n * (m.rru_intake + m.rru_reads) * P["rru"],
        "DynamoDB, reads of `project`": n * m.rru_project * P["rru"],
        "DynamoDB, stored after a year": stored * P["ddb_gb"] + n * m.requests_gb * P["ddb_gb"],
        "DynamoDB, recovery of that": stored * P["pitr_gb"],
        "KMS, `project`": n * m.kms_project * P["kms"],
        "KMS, the rest": (n * m.kms_reads + intake_kms) * P["kms"]
        + n * A["new"] * (P["kms_pair"] + 2 * P["kms_sign"])  # the key and the receipt
        + KEYS * P["kms_key"],
        "Aurora": acus(n, m) * MONTH_H * P["acu_h"]
        + n * m.rows_gb * P["aurora_gb"]
        + n * m.syncs * A["rebuild_io"] * P["aurora_io"],
        "VPC endpoints": ENDPOINTS * ZONES * MONTH_H * P["endpoint_h"] + n * m.syncs * 6_000 / 1e9 * P["endpoint_gb"],
        "S3": n * ((m.documents_gb + m.log_gb) * P["s3_gb"] + m.recordings * (P["s3_put"] + P["s3_get"])),
        "Logs": logs_gb * (P["log_gb"] + 3 * P["log_kept_gb"]),
        "Metrics and alarms": METRICS * P["metric"] + ALARMS * P["alarm"],  # the dashboard is one of three free ones
        "Cognito": max(0, n - 10_000) * P["mau"],
        "Data out": n * m.out / 1e9 * P["out_gb"],
    }


def money(x: float) -> str:
    return f"{x:,.0f}" if x >= 10 else f"{x:.2f}"


def table(head: list[str], rows: list[list[str]], align: str = "") -> str:
    marks = ["---:" if mark == "r" else "---" for mark in (align or "l" * len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, marks, *rows])


def costs(form: str) -> str:
    columns = [lines(users, form) for users in SIZES]
    rows = [[name, *(money(column[name]) for column in columns)] for name in columns[0]]
    rows.append(["**a month**", *(f"**{money(sum(column.values()))}**" for column in columns)])
    per_user = (sum(column.values()) / users for users, column in zip(SIZES, columns, strict=True))
    rows.append(["**a user and month**", *(f"**{cost:.4f}**" for cost in per_user)])
    return table(["USD", *(f"{users:,} users" for users in SIZES)], rows, "lrrr")


def rates() -> str:
    m = Month("data points")

    def row(name: str, value: Callable[[int], float], quota: str) -> list[str]:
        return [name, *(f"{value(users):,.0f}" for users in SIZES), quota]

    def peak(monthly: float) -> Callable[[int], float]:
        return lambda users: A["peak"] * per_second(users, monthly)

    busy = m.posts * 0.05 + m.raw * 0.15 + (m.days + m.syncs) * 0.1
    kms = m.kms_project + m.kms_reads
    rows = [
        row("requests a second, API Gateway", peak(m.api), "10,000 (2,500 in some regions); raise"),
        row("the same, one app's usage plan", peak(m.api), "200 (template.yaml, AppPlan); raise, with ClientLimit"),
        row("functions at work at once", peak(busy), "1,000; raise"),
        row("KMS requests a second, symmetric", peak(kms),
            "100,000 in us-east-1, us-west-2, eu-west-1; 20,000 in six more; else 10,000; raise"),
        row("uses of the owners' key an hour", peak(3600 * (m.kms_project + m.raw + m.days + m.recordings)),
            "10,000 are compared (ADR 36); beyond that a trail's log has to be the source"),
        row("accounts made a second, if all come within a day", lambda users: users / 86_400,
            "100 P-256 key pairs a second; 1,000 signatures; raise"),
        row("write units a second, Readings", peak(m.posts * units(m.block, 1_000)), "40,000 a table; raise, warm it"),
        row("read units a second, Readings", peak(m.rru_reads + m.rru_project), "40,000 a table; raise, warm it"),
        row("reads a second of one app's document", peak(m.api), "3,000 an item: **cannot be raised**"),
        row("tokens renewed a second, one an hour", peak(AWAKE_H * DAYS), "120 sign-ins or renewals; raise (charged)"),
        row("days made a second, Aurora", peak(m.syncs), "8 ACU by DatabaseMaxCapacity (template.yaml); 256 at most"),
    ]  # fmt: skip
    return table(["at the peak", *(f"{users:,}" for users in SIZES), "default"], rows, "lrrrl")


def number(x: float) -> str:
    return f"{x:,.0f}" if x == int(x) else f"{x:.3f}".rstrip("0")


def assumptions() -> str:
    rows = [[number(value), what, source] for value, what, source in ASSUMED.values()]
    for form, (requests, size, source) in FORMS.items():
        rows.append([f"{requests} of {size:,}", f"requests of a sync as {form}, bytes stored of each", source])
    return table(["value", "what", "from"], rows, "rll")


def prices() -> str:
    rows = [[f"{value:.10f}".rstrip("0").rstrip("."), what] for value, what in PRICES.values()]
    api = " · ".join(f"{price * 1e6:.2f}" for _, price in API_TIERS)
    rows.append([api, "API Gateway REST, a million requests: the first 333 million, 667 more, 19 billion more, above"])
    gbs = " · ".join(f"{price:.10f}" for _, price in LAMBDA_TIERS)
    rows.append([gbs, "Lambda x86, a GB-second: the first 6 billion, 9 more, above"])
    return table(["USD", "of what"], rows, "rl")


TABLES: dict[str, Callable[[], str]] = {
    "assumptions": assumptions,
    "prices": prices,
    "points": lambda: costs("data points"),
    "series": lambda: costs("data series"),
    "rates": rates,
}


def filled(text: str) -> str:
    for name, make in TABLES.items():
        start, end = f"<!-- costs.py: {name} -->\n", "<!-- end -->"
        before, rest = text.split(start)
        text = before + start + make() + "\n" + end + rest.split(end, 1)[1]
    return text


def main() -> int:
    page = Path(__file__).with_name("costs.md")
    match sys.argv[1:]:
        case ["--write"]:
            page.write_text(filled(page.read_text()))
        case ["--check"]:
            if page.read_text() != filled(page.read_text()):
                print("docs/costs.md is not what docs/costs.py computes: python docs/costs.py --write")
                return 1
        case _:
            print("\n\n".join(f"{name}\n{make()}" for name, make in TABLES.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
