"""Builds replay jobs for tests."""

from dataclasses import replace

from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.load import load_model
from stream.config import AnalysisConfig
from stream.job import Job, model_used


def open_job(path, cache, engine="openvino", **changes):
    """Return a job with the default engine of a model file; the caller closes its engine."""
    model = load_model(path)
    chosen = choose_engine(model, open_cache(cache), Wanted(engine), print)
    job = Job(chosen.engine, model_used(chosen, model, path), AnalysisConfig())
    return replace(job, **changes)
