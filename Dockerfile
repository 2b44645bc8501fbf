# Framewatch as an image, to produce and consume: `docker compose up` builds it (docs/deploy.md). Kafka and MongoDB are
# others' images, so no Java is in it.
#
# Stopping: SIGTERM finishes and commits the frames in hand, within a minute. Docker's own patience is ten seconds:
# give more by `docker run --init --stop-timeout 60` (docker-compose.yml does).

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
# Without pip: what is installed by the image's own pip stays free of it.
RUN python -m venv --without-pip /opt/framewatch
# The packages before the code, so that a change of the code does not install them again.
COPY requirements/image.txt requirements/image.txt
RUN pip --python /opt/framewatch/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
    -r requirements/image.txt
COPY pyproject.toml setup.py README.md LICENSE ./
COPY src src
RUN pip --python /opt/framewatch/bin/python install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN pip uninstall --yes --root-user-action ignore pip setuptools wheel \
 && useradd --uid 10001 --user-group --no-log-init --home-dir /var/lib/framewatch --create-home framewatch
COPY --from=build /opt/framewatch /opt/framewatch
WORKDIR /app
COPY videos/sample.mp4 videos/sample.mp4
COPY models models
ENV PATH=/opt/framewatch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FRAMEWATCH_MODELS=/app/models \
    FRAMEWATCH_HOME=/var/lib/framewatch/home \
    FRAMEWATCH_CACHE=/var/lib/framewatch/cache
USER 10001:10001
EXPOSE 5000
STOPSIGNAL SIGTERM
ENTRYPOINT ["framewatch"]
CMD ["--help"]
