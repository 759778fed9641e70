# One image of the project with both environments, made from the committed locks. Settings and secrets come when it runs.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS builder
# The last: an older pip would install source packages in a form that records no version.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USE_PEP517=1

# Two stages, so that a change of one lock leaves the other's environment as it was built.
FROM builder AS airflow
COPY requirements-airflow.lock /tmp/
RUN python3 -m venv /opt/airflow && /opt/airflow/bin/python -m pip install -q -r /tmp/requirements-airflow.lock

FROM builder AS jobs
# PyPI's torch for Linux brings CUDA's libraries, several GB: name an index with CPU builds here to leave them out.
ARG PIP_EXTRA_INDEX_URL=
COPY requirements-jobs.lock /tmp/
RUN python3 -m venv /opt/jobs \
 && if [ -z "$PIP_EXTRA_INDEX_URL" ]; then unset PIP_EXTRA_INDEX_URL; fi \
 && /opt/jobs/bin/python -m pip install -q -r /tmp/requirements-jobs.lock

FROM ${BASE}
# Apache Spark's master, workers and drivers; Spark itself comes with the jobs environment.
RUN apt-get update -q \
 && apt-get install -q -y --no-install-recommends openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin lifestage \
 && mkdir -p /var/lib/lifestage/logs/airflow /var/lib/mlflow /var/lib/airflow /var/lib/spark \
 && chown -R lifestage:lifestage /var/lib/lifestage /var/lib/mlflow /var/lib/airflow /var/lib/spark
COPY --from=jobs /opt/jobs /opt/jobs
COPY --from=airflow /opt/airflow /opt/airflow
WORKDIR /srv/lifestage
COPY . .
# The places where a checkout keeps its environments. The code is root's, and readable whatever the checkout's umask was.
RUN ln -s /opt/jobs .venv && ln -s /opt/airflow .venv-airflow && chmod -R u=rwX,go=rX . \
 && /opt/jobs/bin/python -m compileall -q expectations ml jobs
# `python` is the jobs environment's, `airflow` the orchestrator's.
ENV PATH=/opt/jobs/bin:/opt/airflow/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    LIFESTAGE_HOME=/var/lib/lifestage \
    AIRFLOW_HOME=/var/lib/airflow
USER lifestage
CMD ["python", "-m", "jobs", "--help"]
