"""Facts about how the cost of a report is measured."""

import pytest

from benchmarks.bench_report import cpu_s
from stream.errors import StreamError

pytestmark = pytest.mark.timeout(60)
BURN = "import time\nwhile time.process_time() < 0.4: pass"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}], check=True)"


def test_processor_time_of_a_process_that_a_process_started_counts(tmp_path):
    assert 0.4 <= cpu_s(CHILD, cache=tmp_path) < 4


def test_a_process_that_fails_is_named_with_its_last_line(tmp_path):
    with pytest.raises(StreamError, match="report failed: no such session"):
        cpu_s("raise SystemExit('one line\\nno such session')", "report", cache=tmp_path)
