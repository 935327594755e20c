"""What operators watch: metrics of a server at work, alerts, the dashboard."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.request

from harness import E2eTest, HANGZHOU, ROOT, wait

MONITORING = ROOT / "deploy" / "monitoring"
# Names of metrics in text and expressions.
NAME = re.compile(r"\b(?:crr|process)_[a-z0-9_]+")


def promtool(*arguments, **options):
    """Runs it and returns what it says, nothing when all is well."""
    return subprocess.run(["promtool", *arguments], text=True, timeout=60,
                          capture_output=True, **options)


needs_promtool = unittest.skipUnless(
    shutil.which("promtool"),
    "promtool is missing; deploy/install-deps.sh --with-promtool installs it")


def alerts():
    """The text of each alert, by name."""
    text = (MONITORING / "alerts.yml").read_text()
    parts = re.split(r"^ *- alert: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def panels():
    """The panels of the dashboard that show something."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    return [p for p in dashboard["panels"] if p["type"] != "row"]


def dashboard_expressions():
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def scrape(address):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{address}/metrics", timeout=20) as answer:
        return answer.read().decode()


def families(text):
    """Names of the families with a sample, and samples by series."""
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            samples[series] = float(value)
    histograms = set(re.findall(r"^# TYPE (\S+) histogram$", text,
                                re.MULTILINE))
    return {family_of(s.partition("{")[0], histograms)
            for s in samples}, samples


def family_of(name, histograms):
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return base if base in histograms else name


class FilesTest(unittest.TestCase):

    def test_each_alert_says_what_to_do(self):
        self.assertGreater(len(alerts()), 10)
        for name, text in alerts().items():
            with self.subTest(alert=name):
                self.assertRegex(text, r"severity: (page|ticket)\n")
                for part in ("expr", "summary", "description", "remedy"):
                    self.assertRegex(text, rf"\n? {part}: *\S")

    def test_each_alert_is_tested(self):
        tests = (MONITORING / "alerts_test.yml").read_text()
        tested = re.findall(r'alertname="(\w+)", alertstate="firing"', tests)
        self.assertEqual(set(tested), set(alerts()))

    @needs_promtool
    def test_alerts_fire_when_they_must_and_only_then(self):
        for arguments in (["check", "rules", "alerts.yml"],
                          ["test", "rules", "alerts_test.yml"]):
            done = promtool(*arguments, cwd=MONITORING)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_panel_is_complete(self):
        self.assertGreater(len(panels()), 10)
        ids = [panel["id"] for panel in panels()]
        self.assertEqual(len(ids), len(set(ids)))
        for panel in panels():
            with self.subTest(panel=panel["title"]):
                self.assertTrue(panel["title"])
                self.assertTrue(panel["description"])
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                self.assertTrue(panel["targets"])
                for part in [panel, *panel["targets"]]:
                    self.assertEqual(part["datasource"]["uid"],
                                     "${datasource}")

    def test_the_dashboard_has_a_data_source_to_choose(self):
        dashboard = json.loads((MONITORING / "dashboard.json").read_text())
        variables = {v["name"]: v for v in dashboard["templating"]["list"]}
        self.assertEqual(variables["datasource"]["type"], "datasource")
        for expression in dashboard_expressions():
            for name in re.findall(r"\$(\w+)", expression):
                if not name.startswith("__"):
                    self.assertIn(name, variables)

    @needs_promtool
    def test_each_expression_of_the_dashboard_is_one(self):
        rules = [{"record": "x", "expr": re.sub(
            r"\$__rate_interval", "5m", re.sub(r"\$(job|instance)", "x", e)),
                  "labels": {"number": str(number)}}
                 for number, e in enumerate(dashboard_expressions())]
        with tempfile.TemporaryDirectory() as folder:
            # JSON is YAML.
            path = pathlib.Path(folder, "rules.yml")
            path.write_text(json.dumps(
                {"groups": [{"name": "dashboard", "rules": rules}]}))
            done = promtool("check", "rules", path)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class ScrapeTest(E2eTest):

    def setUp(self):
        super().setUp()
        self.address = re.search(r"^metrics on (\S+)$",
                                 self.cluster.server.out.read_text(),
                                 re.MULTILINE)[1]

    def value(self, series):
        return families(scrape(self.address))[1].get(series)

    def test_a_server_at_work(self):
        source, destination = self.pair()
        self.cluster.fill(source, {f"old/{i}": b"x" * 1000 for i in range(20)})
        copier = self.cluster.copier("c")
        rule = self.cluster.rule(source, destination)
        self.cluster.wait_backfilled(rule)
        self.cluster.put(source, "new", b"1")
        self.cluster.wait_synced(rule)
        self.assertEqual(copier.stop(), 0)
        self.cluster.put(source, "newer", b"1")
        series = f'{{rule="{rule}"}}'
        wait("the rule lags",
             lambda: self.value("crr_rule_lag_seconds" + series))
        text = scrape(self.address)
        exported, samples = families(text)

        # What happened stands there.
        self.assertEqual(samples['crr_settled_total{kind="BACKFILL"}'], 20)
        self.assertGreaterEqual(
            samples['crr_copied_bytes_total{kind="BACKFILL"}'], 20000)
        self.assertGreaterEqual(samples['crr_settled_total{kind="CHANGES"}'], 1)
        self.assertEqual(samples['crr_log_changes{rule_state="ACTIVE"}'], 1)
        self.assertEqual(samples["crr_copiers"], 0)
        self.assertEqual(samples["crr_desired_copiers"], 1)
        self.assertEqual(samples['crr_publishers{state="attached"}'], 2)
        self.assertGreater(samples["crr_small_object_oldest_seconds"], 0)
        self.assertGreater(
            samples["crr_rule_oldest_unfinished_seconds" + series], 0)
        self.assertGreater(samples["crr_rule_log_bytes" + series], 0)

        # What is watched is there, and what is there is watched.
        histograms = set(re.findall(r"^# TYPE (\S+) histogram$", text,
                                    re.MULTILINE))
        watched = {family_of(name, histograms)
                   for part in [*dashboard_expressions(), *alerts().values()]
                   for name in NAME.findall(part)}
        self.assertEqual(watched - exported, set())
        ours = {name for name in exported if name.startswith("crr_")}
        self.assertEqual(ours - watched, set())

    @needs_promtool
    def test_names_types_and_help_are_as_prometheus_wants_them(self):
        done = promtool("check", "metrics", input=scrape(self.address))
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_a_scrape_of_an_idle_server_writes_nothing(self):
        self.pair()
        scrape(self.address)
        server = self.cluster.server
        before = self.cluster.files(), server.io("write_bytes"), \
            server.log.read_text()
        for _ in range(20):
            scrape(self.address)
        self.assertEqual((self.cluster.files(), server.io("write_bytes"),
                          server.log.read_text()), before)

    def test_an_idle_server_keeps_its_pollers_awake(self):
        # Or the next caller would wait while gRPC 1.51 naps (keep_warm.h).
        checks = ('crr_rpcs_total{method="grpc.health.v1.Health/Check",'
                  'code="OK"}')
        begun = self.value(checks) or 0
        wait("it calls itself", lambda: (self.value(checks) or 0) >= begun + 3,
             seconds=10)

    def test_metrics_stay_after_a_publisher_has_gone(self):
        self.notifiers[HANGZHOU].kill()
        wait("its absence shows", lambda: self.value(
            'crr_publishers{state="detached"}') == 1)
        self.assertEqual(self.value('crr_publishers{state="attached"}'), 1)
