# The workers: an environment of their own, nothing but the pinned dependencies and the wheel.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/iskra \
 && /opt/iskra/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY alerts alerts
COPY iskra iskra
COPY pipeline pipeline
COPY schemas schemas
COPY deploy/kafka deploy/kafka
RUN /opt/iskra/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/iskra/bin/iskra --version

FROM python:3.11.14-slim-bookworm
COPY --from=build /opt/iskra /opt/iskra
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin iskra
ENV PATH=/opt/iskra/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["iskra"]
CMD ["--help"]
