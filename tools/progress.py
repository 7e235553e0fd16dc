"""Say while pytest runs which files are done, of how many, and how long each took: `pytest -p tools.progress`.

What a test has measured, and says with `record_property("measured", ...)`, stands below its file.
"""

import time
from collections import Counter

import pytest


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # in the process that speaks, not in its workers
        config.pluginmanager.register(Progress(config), "progress of files")


def file_of(nodeid):
    return nodeid.split("::")[0]


class Progress:
    def __init__(self, config):
        self.config, self.left, self.files, self.done = config, Counter(), 0, 0
        self.seconds, self.outcomes, self.started = Counter(), {}, time.perf_counter()
        self.measured = {}

    def expect(self, nodeids):
        if not self.files:  # each worker lists them all
            self.left = Counter(map(file_of, nodeids))
            self.files = len(self.left)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node, ids):  # noqa: ARG002
        self.expect(ids)

    def pytest_collection_finish(self, session):
        self.expect(item.nodeid for item in session.items)

    def pytest_report_teststatus(self, report):
        if report.passed and report.when == "call":
            return "passed", "", "PASSED"  # no dot: a line for each file

    def pytest_runtest_logreport(self, report):
        file = file_of(report.nodeid)
        self.seconds[file] += report.duration
        counts = self.outcomes.setdefault(file, Counter())
        counts[report.outcome] += report.when == "call" or not report.passed
        if report.when != "teardown":
            return
        said = [what for name, what in report.user_properties if name == "measured"]
        self.measured.setdefault(file, []).extend(said)
        self.left[file] -= 1
        if self.left[file] == 0:
            self.done += 1
            said = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()) if n)
            minutes, seconds = divmod(int(time.perf_counter() - self.started), 60)
            reporter = self.config.pluginmanager.get_plugin("terminalreporter")
            reporter.ensure_newline()
            reporter.write_line(
                f"  file {self.done} of {self.files} at {minutes}:{seconds:02}: {file}: {said}, {self.seconds[file]:.0f} s"
            )
            for what in self.measured[file]:
                reporter.write_line(f"    {what}")
