# syntax=docker/dockerfile:1
# Wirepost in a container: two stages, nothing in the second but Python, the pinned packages and the bot.
#
#   docker build -t wirepost .
#   docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -v "$PWD/config:/config:ro" -v wirepost-data:/data wirepost
#
# The tag below names the newest patch of Python 3.11 on Debian 12. A release pins its digest as well, so that a build
# can be repeated: `docker buildx imagetools inspect python:3.11-slim-bookworm` prints it; then
#   --build-arg BASE=python:3.11-slim-bookworm@sha256:…
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/wirepost
WORKDIR /src
# The packages change seldom and the code often: each has a layer of its own.
COPY requirements.lock ./
RUN /opt/wirepost/bin/pip install --require-hashes --compile -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
# --compile: a read-only root can't write bytecode later. What only builds is taken out again.
RUN /opt/wirepost/bin/pip install --no-deps --no-build-isolation --compile . \
    && /opt/wirepost/bin/python -m pip uninstall --yes hatchling editables pathspec pluggy trove-classifiers pip setuptools

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Wirepost" \
      org.opencontainers.image.description="Takes a newsroom's articles to its social accounts, exactly once" \
      org.opencontainers.image.source="https://github.com/wirepost/wirepost" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/wirepost/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WIREPOST_CONFIG=/config/wirepost.toml \
    WIREPOST_VAR=/data \
    WIREPOST_LOG=json \
    WIREPOST_LISTEN=0.0.0.0:9100
COPY --from=build /opt/wirepost /opt/wirepost
# One volume. A numeric user: Kubernetes' runAsNonRoot can't check a name.
RUN install -d -o 10001 -g 10001 /data
VOLUME /data
WORKDIR /data
USER 10001:10001
EXPOSE 9100
# /live needs no store and no network: only a worker that hangs is restarted. A few lines of the standard library
# instead of the program, whose imports would cost a second of CPU at each look.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:9100/live', timeout=4)"]
# The bot itself is process 1: SIGTERM ends it when what is on the wire has ended (at most 25 s).
ENTRYPOINT ["wirepost"]
CMD ["run"]
